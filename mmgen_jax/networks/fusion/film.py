"""Feature-wise linear modulation (FiLM, Perez et al. 2018) of each modality by the other modalities.

    values_m ← (1 + γ_m) values_m + β_m,    γ_m, β_m = W_m Σ_{k ≠ m} x_k

Departs from the paper: there, a question modulates an image; here every modality is modulated by all other modalities,
because any modality may be absent. Where no other modality is present, γ = β = 0.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.config.ranges import Size
from mmgen_jax.networks.conditioning.tokens import Condition, Tokens, masked_mean
from mmgen_jax.networks.fusion.tokens import Projection, as_condition, join, summaries
from mmgen_jax.networks.layers.blocks import MLP


class Fusion(nn.Module):
    """`tokens` are the modulated tokens of all modalities; `pooled` is an MLP of the mean of their vectors."""

    features: Size = 128
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, tokens, train: bool = False) -> Condition:
        projected = Projection(self.features, self.dtype)(tokens)
        vectors, present = summaries(projected)  # [B, M, D], [B, M]
        modulated = {}
        for index, name in enumerate(sorted(tokens)):
            others = jnp.delete(vectors, index, axis=1).sum(axis=1)
            scale_shift = nn.Dense(2 * self.features, use_bias=False, dtype=self.dtype, name=f"{name}_film")(others)
            scale, shift = jnp.split(scale_shift[:, None], 2, axis=-1)
            modulated[name] = Tokens((1 + scale) * projected[name].values + shift, projected[name].mask)
        vectors, present = summaries(modulated)
        pooled = MLP(self.features, dtype=self.dtype)(masked_mean(vectors, present))
        return as_condition(join(modulated), pooled)
