"""Multimodal bottleneck transformer (MBT, Nagrani et al. 2021): modalities exchange through a few shared tokens only.

In each layer every modality has its own transformer block over its tokens and the bottleneck tokens, and the new
bottleneck is the mean of the modalities' versions of it.

Departs from the paper: that mean is over the modalities that are present, and `pooled` is the mean of the bottleneck
and of each modality's tokens instead of the modalities' CLS tokens.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.networks.conditioning.tokens import Condition, Tokens, masked_mean
from mmgen_jax.networks.fusion.tokens import Projection, as_condition, join, summaries
from mmgen_jax.networks.layers.blocks import TransformerBlock


class Fusion(nn.Module):
    """`tokens` are all modalities' tokens after the last layer.

    The first layer only fills the bottleneck, so modalities see each other from `num_layers` 2 on.
    """

    features: int = 128
    num_bottlenecks: int = 4
    num_layers: int = 2
    num_heads: int = 4
    dropout: float = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, tokens, train: bool = False) -> Condition:
        projected = Projection(self.features, self.dtype)(tokens)
        _, present = summaries(projected)  # [B, M]
        batch_size, size = present.shape[0], self.num_bottlenecks
        start = self.param("bottleneck", nn.initializers.normal(0.02), (size, self.features))
        bottleneck = jnp.broadcast_to(start.astype(self.dtype), (batch_size, *start.shape))
        for layer in range(self.num_layers):
            versions = []
            for name in sorted(projected):
                values, mask = projected[name].values, projected[name].mask
                block = TransformerBlock(
                    self.num_heads, dropout=self.dropout, dtype=self.dtype, name=f"{name}_block_{layer}"
                )
                both = jnp.concatenate([bottleneck, values], axis=1)
                both = block(both, jnp.pad(mask, ((0, 0), (size, 0)), constant_values=True), train=train)
                versions.append(both[:, :size].reshape(batch_size, -1))
                projected[name] = Tokens(both[:, size:], mask)
            bottleneck = masked_mean(jnp.stack(versions, axis=1), present).reshape(bottleneck.shape)
        vectors, present = summaries(projected)
        vectors = jnp.concatenate([vectors, bottleneck.mean(axis=1, keepdims=True)], axis=1)
        present = jnp.pad(present, ((0, 0), (0, 1)), constant_values=True)
        pooled = nn.LayerNorm(dtype=self.dtype)(masked_mean(vectors, present))
        return as_condition(join(projected), pooled)
