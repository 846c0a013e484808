"""Log-likelihood of the targets by importance sampling, with latents of the posterior (Burda et al., 2016)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np
from scipy.special import logsumexp

from mmgen_jax.config.ranges import Amount, Size
from mmgen_jax.contracts import Draw
from mmgen_jax.evaluators.measures import examples, intervals


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """`log (1/K) sum_k p(x, z_k) / q(z_k | x)`, in nats per example: in expectation a lower bound, tighter with K.

    Compare only models with the same likelihood model, scale of the data and number of samples.

    Args:
      target: a target of the model; examples that lack it are left out. The likelihood is of all targets together.
      num_samples: K, latents of each example.
      chunk: latents of an example that are decoded at once; it changes the memory that is needed, and the draws.
      num_examples: at most this many examples of each split.
      splits: splits to evaluate.
    """

    target: str
    num_samples: Amount = 1000
    chunk: Size = 100
    num_examples: Amount = 1000
    splits: tuple[str, ...] = ("test",)
    ability: ClassVar[str] = "log_weights"

    @property
    def names(self) -> tuple[str, ...]:
        return ()

    def __call__(self, sampler: Draw, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`{"log_likelihood": {"value", "n", "interval", "standard_error", "sampling_error", "elbo", …}}`.

        `standard_error` is over examples. `sampling_error` is the part of `standard_error` that the finite number
        of latents causes (delta method): the standard deviation of `value` under a new draw of the latents. `elbo` is
        the mean of the log-weights, the bound of K = 1. `effective_samples` is the mean over examples of (sum w)^2 /
        sum w^2.
        """
        found = [self._of_batch(sampler, b) for b in examples.first(batches, (self.target,), self.num_examples)]
        value, variance, elbo, effective = (np.concatenate(parts) for parts in zip(*found))
        return {
            "log_likelihood": {
                "value": float(value.mean()),
                "n": len(value),
                "interval": intervals.of_mean(value),
                "standard_error": intervals.standard_error(value),
                "sampling_error": float(np.sqrt(variance.sum()) / len(value)) if self.num_samples > 1 else None,
                "elbo": float(elbo.mean()),
                "effective_samples": float(effective.mean()),
                "num_samples": self.num_samples,
            }
        }

    def _of_batch(self, sampler: Draw, batch: Mapping[str, Any]) -> tuple[np.ndarray, ...]:
        """Estimate, its variance, ELBO and effective number of samples, each `[B]` float64."""
        log_w = np.asarray(sampler.log_weights(batch, self.num_samples, self.chunk), np.float64)  # [B, K]
        first, second, drawn = logsumexp(log_w, axis=1), logsumexp(2 * log_w, axis=1), log_w.shape[1]
        # With weights w: var(log mean w) ~ var(w) / (K mean(w)^2) = (mean(w^2) / mean(w)^2 - 1) / K
        ratio = np.exp(second - 2 * first)  # sum w^2 / (sum w)^2
        variance = np.maximum(ratio - 1 / drawn, 0)
        return first - np.log(drawn), variance, log_w.mean(axis=1), 1 / ratio
