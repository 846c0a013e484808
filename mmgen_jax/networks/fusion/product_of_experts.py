"""Product of Gaussian experts with a standard normal prior expert (Wu and Goodman 2018, MVAE).

    precision = 1 + Σ_m 1/σ²_m,    μ = Σ_m μ_m/σ²_m / precision        (absent modalities left out)

Departs from the paper: `pooled` is the product's mean, or its mean and log-variance, instead of a sample; the experts'
log-variances are clipped to [-10, 10].
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.config.ranges import Size
from mmgen_jax.errors import InputError
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.fusion.tokens import Projection, as_condition, join, summaries


class Fusion(nn.Module):
    """`tokens` are the projected tokens of all modalities.

    `pooled` is μ `[B, D]`, or with `log_var` the concatenation of μ and log σ², each `[B, D / 2]`.
    """

    features: Size = 128
    log_var: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, tokens, train: bool = False) -> Condition:
        projected = Projection(self.features, self.dtype)(tokens)
        vectors, present = summaries(projected)  # [B, M, D], [B, M]
        size = self.features // 2 if self.log_var else self.features
        if not size:
            raise InputError(f"features: expected at least 2 with log_var, a mean and a variance, got {self.features}")
        experts = [
            nn.Dense(2 * size, dtype=self.dtype, name=f"{name}_expert")(vectors[:, index])
            for index, name in enumerate(sorted(tokens))
        ]
        mu, log_var = jnp.split(jnp.stack(experts, axis=1).astype(jnp.float32), 2, axis=-1)
        mu, log_var = product_of_experts(mu, jnp.clip(log_var, -10, 10), present)
        pooled = jnp.concatenate([mu, log_var], axis=-1) if self.log_var else mu
        return as_condition(join(projected), pooled.astype(self.dtype))


def product_of_experts(mu: jnp.ndarray, log_var: jnp.ndarray, present: jnp.ndarray) -> tuple[jnp.ndarray, jnp.ndarray]:
    """Mean and log-variance, each `[B, D]`, of the product of the standard normal prior and the present experts.

    Args:
      mu, log_var: `[B, M, D]`, of the experts.
      present: `[B, M] bool`.
    """
    precision = jnp.where(present[..., None], jnp.exp(-log_var), 0)
    total = 1 + precision.sum(axis=1)
    return (precision * mu).sum(axis=1) / total, -jnp.log(total)
