"""Multimodal bottleneck transformer (MBT, Nagrani et al. 2021): modalities see each other through a few shared tokens.

In each layer, every modality has its own transformer block over its tokens and the shared bottleneck tokens. The new
bottleneck tokens are the mean of the modalities' outputs for the bottleneck.

Departs from the paper: this mean is over the present modalities only; `pooled` is the mean of one vector per modality
(the mean of its tokens) and the bottleneck's mean, instead of the mean of the modalities' CLS tokens.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.config.ranges import Depth, Rate, Size
from mmgen_jax.networks.conditioning.tokens import Condition, Tokens, masked_mean
from mmgen_jax.networks.fusion.tokens import Projection, as_condition, join, summaries
from mmgen_jax.networks.layers.blocks import TransformerBlock


class Fusion(nn.Module):
    """`tokens` are the tokens of all modalities after the last layer.

    The first layer only fills the bottleneck, so modalities see each other only with `num_layers` of at least 2.
    """

    features: Size = 128
    num_bottlenecks: Size = 4
    num_layers: Depth = 2
    num_heads: Size = 4
    dropout: Rate = 0.0
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
