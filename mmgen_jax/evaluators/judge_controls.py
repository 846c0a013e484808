"""What the judge of `classifier_accuracy` says of examples that should tell it nothing, little or all: its controls.

The share recognised of 1,000 examples of the test split of `digits`, where chance is 0.1; every evaluation of
`configs/any_to_any.py:digits,target=…` measures it again. `reconstruction` is here a sound through `log_mel` and back.

    image   real 0.992: noise 0.099
    audio   real 0.987: silence 0.089, noise 0.089, backwards 0.123, spectrum 0.523, reconstruction 0.995
    video   real 0.984: noise 0.099, frozen 0.981, shuffled 0.984 (32 px, 8 frames)
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
