"""The bound on the log-likelihood that a variational objective gives, per example and per dimension."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mmgen_jax.evaluators.measures import intervals
from mmgen_jax.evaluators.measures.examples import collect


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """The mean of `sample_fn.elbo(batch) -> [B]` nats.

    It bounds the objective's own likelihood: compare only models of one likelihood on one scale of the data (the
    density of values in [-1, 1] costs 1 bit per dimension more than that of the same values in [0, 1]).

    Args:
      target: the modality whose likelihood is bounded; its size is the number of dimensions.
      num_examples: at most this many of each split.
      splits: those to run on.
    """

    target: str
    num_examples: int = 1000
    splits: tuple[str, ...] = ("test",)

    @property
    def names(self) -> tuple[str, ...]:
        return ()

    def __call__(self, sample_fn: Any, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`elbo` (nats per example, higher is better) and `bits_per_dimension` (lower is better).

        Each `{"value", "n", "interval", "standard_error", "dimensions"}`; examples that lack the target do not count.
        """
        nats, true = collect(
            lambda batch: {self.target: sample_fn.elbo(batch)}, batches, self.target, (self.target,), self.num_examples
        )
        nats, dimensions = nats.astype(np.float64), math.prod(true[self.target].shape[1:])
        return {
            "elbo": _entry(nats, dimensions),
            "bits_per_dimension": _entry(-nats / (dimensions * math.log(2)), dimensions),
        }


def _entry(values: np.ndarray, dimensions: int) -> dict[str, Any]:
    return {
        "value": float(values.mean()),
        "n": len(values),
        "interval": intervals.of_mean(values),
        "standard_error": intervals.standard_error(values),
        "dimensions": dimensions,
    }
