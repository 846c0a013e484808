"""Evidence lower bound (ELBO) on the log-likelihood of a variational objective, per example and per dimension."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np

from mmgen_jax.config.ranges import Amount
from mmgen_jax.contracts import Draw
from mmgen_jax.evaluators.measures import intervals
from mmgen_jax.evaluators.measures.examples import collect


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """The mean of `sampler.elbo(batch) -> [B]` nats.

    The ELBO bounds the likelihood under the objective's own likelihood model. Compare only models with the same
    likelihood model and the same scale of the data: values in [-1, 1] have 1 bit per dimension more than the same
    values in [0, 1].

    Args:
      target: the modality whose likelihood is bounded; the number of values of one example is `dimensions`.
      num_examples: at most this many examples of each split.
      splits: splits to evaluate.
    """

    target: str
    num_examples: Amount = 1000
    splits: tuple[str, ...] = ("test",)
    ability: ClassVar[str] = "elbo"

    @property
    def names(self) -> tuple[str, ...]:
        return ()

    def __call__(self, sampler: Draw, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`elbo` (nats per example, higher is better) and `bits_per_dimension` (lower is better).

        The bound of a model of several targets is of all of them together, and has no `bits_per_dimension`.
        Each entry is `{"value", "n", "interval", "standard_error", "dimensions"}`. Examples without the target (masked)
        are left out.
        """
        nats, true = collect(
            lambda batch: {self.target: sampler.elbo(batch)}, batches, self.target, (self.target,), self.num_examples
        )
        nats, dimensions = nats.astype(np.float64), math.prod(true[self.target].shape[1:])
        elbo = {"elbo": _entry(nats, dimensions)}
        if len(getattr(getattr(sampler, "system", None), "targets", ())) > 1:
            return elbo
        return elbo | {"bits_per_dimension": _entry(-nats / (dimensions * math.log(2)), dimensions)}


def _entry(values: np.ndarray, dimensions: int) -> dict[str, Any]:
    return {
        "value": float(values.mean()),
        "n": len(values),
        "interval": intervals.of_mean(values),
        "standard_error": intervals.standard_error(values),
        "dimensions": dimensions,
    }
