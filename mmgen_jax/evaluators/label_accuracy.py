"""Recognition: accuracy of the predicted class."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mmgen_jax.config.ranges import Amount
from mmgen_jax.contracts import Draw
from mmgen_jax.evaluators import needs
from mmgen_jax.evaluators.measures import intervals
from mmgen_jax.evaluators.measures.examples import collect
from mmgen_jax.modalities.modality import Modality


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Accuracy of a label target. Its `baseline` predicts the most frequent class of the split for every example.

    Args:
      target: the label modality.
      num_examples: at most this many examples of each split.
      splits: splits to evaluate.
    """

    target: str
    num_examples: Amount = 10_000
    splits: tuple[str, ...] = ("test",)
    names: tuple[str, ...] = ()

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        needs.modality(self, "target", needs.LABEL, modalities)

    def __call__(self, sampler: Draw, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`{"accuracy": {"value", "n", "interval", "baseline"}}`, shares in [0, 1]; Wilson's 95 % interval."""
        predicted, true = collect(sampler, batches, self.target, (self.target,), self.num_examples)
        labels = true[self.target]
        right, n = int(np.sum(predicted == labels)), len(labels)
        return {
            "accuracy": {
                "value": right / n,
                "n": n,
                "interval": intervals.wilson(right, n),
                "baseline": float(np.bincount(labels).max() / n),
            }
        }
