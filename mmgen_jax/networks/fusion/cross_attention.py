"""Learned queries that attend to the tokens of all modalities (Perceiver, Jaegle et al. 2021).

Departs from the paper: no position encodings are added, because the encoders' tokens already have positions; layers
share no parameters. For an example without any modality `pooled` is a learned constant.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.config.ranges import Depth, Rate, Size
from mmgen_jax.networks.conditioning.tokens import Condition, Tokens
from mmgen_jax.networks.fusion.tokens import Projection, as_condition, join
from mmgen_jax.networks.layers.blocks import TransformerBlock


class Fusion(nn.Module):
    """`tokens` are the queries after attention `[B, num_queries, D]`; `pooled` is their mean."""

    features: Size = 128
    num_queries: Size = 8
    num_layers: Depth = 1
    num_heads: Size = 4
    dropout: Rate = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, tokens, train: bool = False) -> Condition:
        context = join(Projection(self.features, self.dtype)(tokens))
        queries = self.param("queries", nn.initializers.normal(0.02), (self.num_queries, self.features))
        queries = jnp.broadcast_to(queries.astype(self.dtype), (context.mask.shape[0], *queries.shape))
        for _ in range(self.num_layers):
            queries = TransformerBlock(self.num_heads, dropout=self.dropout, dtype=self.dtype)(
                queries, context=context.values, context_mask=context.mask, train=train
            )
        queries = nn.LayerNorm(dtype=self.dtype)(queries)
        mask = jnp.broadcast_to(context.mask.any(axis=1, keepdims=True), queries.shape[:2])
        return as_condition(Tokens(queries, mask), queries.mean(axis=1))
