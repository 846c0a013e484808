"""Controls of the judge of `classifier_accuracy`: its accuracy on noise, on spoilt examples and on reconstructions.

The table shows the share recognised of 1,000 examples of the test split of `digits`; chance is 0.1. Every evaluation of
`configs/any_to_any.py:digits,target=…` measures the controls again. In the table, `reconstruction` is a real sound,
encoded by the representation `log_mel` and decoded by Griffin-Lim.

    image   real 0.996: noise 0.103
    audio   real 0.990: silence 0.099, noise 0.099, backwards 0.114, spectrum 0.562, reconstruction 0.993
    video   real 0.987: noise 0.103, frozen 0.976, shuffled 0.987 (32 px, 8 frames)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mmgen_jax.config.ranges import Amount, Seed
from mmgen_jax.contracts import Draw
from mmgen_jax.evaluators.judges import classifier
from mmgen_jax.evaluators.measures import intervals
from mmgen_jax.evaluators.measures.examples import collect, same
from mmgen_jax.modalities.modality import Modality


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Accuracy of the judge on real examples that are spoilt in some way.

    Args:
      data: the source that the judge is trained on, as in `config.data`.
      target: the modality that the model draws.
      label: the modality that holds the true class.
      num_examples: at most this many examples of each split.
      splits: splits to evaluate.
      training: how the judge is trained, the `Training` of the target's kind; None: its default.
      seed: of the noise.
    """

    data: Mapping[str, Any]
    target: str
    label: str = "digit"
    num_examples: Amount = 1000
    splits: tuple[str, ...] = ("test",)
    training: Any = None
    seed: Seed = 0

    @property
    def names(self) -> tuple[str, ...]:
        return (self.label,)

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        classifier.check(self.data, self.target, self.label)

    def __call__(self, sampler: Draw, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`{control: {"value", "n", "interval", "reference", "chance", "judge…"}}`, as in `classifier_accuracy`.

        The controls are those of the target's kind (function `controls` of `judges/image.py`, `judges/audio.py`,
        `judges/video.py`), and `reconstruction` where the model can reconstruct its target.
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
                **intervals.of_share(correct, [same(true[self.target])]),
                "reference": reference,
                "chance": 1 / len(judge.classes),
                **judge.identity,
            }
        return entries
