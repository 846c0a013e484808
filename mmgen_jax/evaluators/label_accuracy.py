"""Recognition: how often the predicted class is the true one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from mmgen_jax.evaluators.measures import intervals
from mmgen_jax.evaluators.measures.examples import collect


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Accuracy of a label target, beside always naming the split's commonest class.

    Args:
      target: the label modality.
      num_examples: at most this many of each split.
      splits: those to run on.
    """

    target: str
    num_examples: int = 10_000
    splits: tuple[str, ...] = ("test",)
    names: tuple[str, ...] = ()

    def __call__(
        self, sample_fn: Callable[[Mapping[str, Any]], Mapping[str, Any]], batches: Iterable[Mapping[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        predicted, true = collect(sample_fn, batches, self.target, (self.target,), self.num_examples)
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
