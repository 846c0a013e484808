"""Concatenation: an MLP on the concatenation of one vector per modality and the flags of presence."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.config.ranges import Size
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.fusion.tokens import Projection, as_condition, join, summaries
from mmgen_jax.networks.layers.blocks import MLP


class Fusion(nn.Module):
    """`tokens` are the projected tokens of all modalities; `pooled` is the output of the MLP."""

    features: Size = 128
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, tokens, train: bool = False) -> Condition:
        projected = Projection(self.features, self.dtype)(tokens)
        vectors, present = summaries(projected)  # [B, M, D], [B, M]
        flat = jnp.concatenate([vectors.reshape(vectors.shape[0], -1), present.astype(vectors.dtype)], axis=-1)
        return as_condition(join(projected), MLP(self.features, self.features, dtype=self.dtype)(flat))
