"""Samplers of latents that are fitted after training: where a decoder's latents come from, if not from the prior."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from mmgen_jax.errors import ConfigError

PRIOR, MIXTURE, AGGREGATE = "prior", "gaussian_mixture", "aggregate_posterior"
NAMES = (PRIOR, MIXTURE, AGGREGATE)


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A sampler with its name as in results, e.g. `gaussian_mixture_10`.

    Args:
      draw: from a number N to latents `[N, Z]`; None: the model's own prior draws them.
    """

    name: str
    draw: Callable[[int], np.ndarray] | None


def fit(kind: str, latents: np.ndarray, num_components: int = 10, seed: int = 0) -> Fitted:
    """The sampler `kind`, one of `NAMES`, fitted to `latents [N, Z]` of training examples.

    prior                 the model's prior; nothing is fitted
    gaussian_mixture      a mixture of normals with full covariances, by scikit-learn
    aggregate_posterior   one of the latents themselves, drawn at random: each is from the posterior of one example

    Raises:
      ConfigError: an unknown kind, or fewer latents than components.
    """
    if kind not in NAMES:
        raise ConfigError(f"latents: expected one of {', '.join(NAMES)}, got {kind!r}")
    if kind == PRIOR:
        return Fitted(PRIOR, None)
    if kind == AGGREGATE:
        rng = np.random.default_rng(seed)
        return Fitted(AGGREGATE, lambda num: latents[rng.integers(0, len(latents), num)])
    if len(latents) < 2 * num_components:
        raise ConfigError(
            f"latents: {num_components} components need at least {2 * num_components} training examples, got "
            f"{len(latents)}"
        )
    from sklearn.mixture import GaussianMixture  # takes a second

    mixture: Any = GaussianMixture(num_components, covariance_type="full", reg_covar=1e-4, random_state=seed)
    mixture.fit(latents.astype(np.float64))
    rng, factors = np.random.default_rng(seed), np.linalg.cholesky(mixture.covariances_)  # [K, Z, Z]

    def draw(num: int) -> np.ndarray:
        chosen = rng.choice(num_components, num, p=mixture.weights_)
        noise = rng.normal(size=(num, latents.shape[1]))
        return mixture.means_[chosen] + np.einsum("nij,nj->ni", factors[chosen], noise)

    return Fitted(f"{MIXTURE}_{num_components}", draw)
