"""Concatenation: one vector per modality, side by side with their presence, through an MLP."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.fusion.tokens import Projection, as_condition, join, summaries
from mmgen_jax.networks.layers.blocks import MLP


class Fusion(nn.Module):
    """`tokens` are all modalities' projected tokens; `pooled` is the MLP of the concatenated means."""

    features: int = 128
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, tokens, train: bool = False) -> Condition:
        projected = Projection(self.features, self.dtype)(tokens)
        vectors, present = summaries(projected)  # [B, M, D], [B, M]
        flat = jnp.concatenate([vectors.reshape(vectors.shape[0], -1), present.astype(vectors.dtype)], axis=-1)
        return as_condition(join(projected), MLP(self.features, self.features, dtype=self.dtype)(flat))
