"""What the judge of `classifier_accuracy` says of examples that should tell it nothing, little or all: its controls.

Measured on `digits` with `configs/any_to_any.py:digits,target=…`, whose evaluators these are, n 1000 (audio: draws of
the 250 test recordings); `reconstruction` of a sound is its log-mel spectrogram and back.

NUMBERS
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mmgen_jax.evaluators.judges import classifier
from mmgen_jax.evaluators.measures import intervals
from mmgen_jax.evaluators.measures.examples import collect


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Share of real examples, spoilt in some way, that the judge says are of their class.

    Args:
      data: the source that the judge is trained on, as in `config.data`.
      target: the modality that the model draws.
      label: the modality that holds the true class.
      num_examples: at most this many of each split.
      splits: those to run on.
      seed: of the noise.
    """

    data: Mapping[str, Any]
    target: str
    label: str = "digit"
    num_examples: int = 1000
    splits: tuple[str, ...] = ("test",)
    training: Any = None  # of the judge; None is the default of the target's kind
    seed: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        return (self.label,)

    def __call__(self, sampler: Any, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`{control: {"value", "n", "interval", "reference", "chance", "judge…"}}`, as in `classifier_accuracy`.

        Controls: those of the target's kind (`judges/image.py`, `audio.py`, `video.py`), and `reconstruction` where the
        model reconstructs its target.
        """
        judge = classifier.load(self.data, self.target, self.label, self.training)
        reconstructs = sampler.supports("reconstruct")
        predict = sampler.reconstruct if reconstructs else lambda batch: batch
        reconstructed, true = collect(predict, batches, self.target, (self.target, self.label), self.num_examples)
        controls = classifier.kind_of(self.target, judge.modality).controls
        spoilt = controls(true[self.target], np.random.default_rng(self.seed))
        spoilt |= {"reconstruction": reconstructed} if reconstructs else {}
        reference = float((judge.classify(true[self.target]) == true[self.label]).mean())
        entries = {}
        for name, arrays in spoilt.items():
            correct = judge.classify(arrays) == true[self.label]
            entries[name] = {
                "value": float(correct.mean()),
                "n": len(correct),
                "interval": intervals.wilson(int(correct.sum()), len(correct)),
                "reference": reference,
                "chance": 1 / len(judge.classes),
                **judge.identity,
            }
        return entries
