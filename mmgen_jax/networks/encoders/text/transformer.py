"""Transformer encoder over the words, with learned positions (as BERT, Devlin et al. 2019, but pre-norm)."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.config.ranges import Depth, Rate, Size
from mmgen_jax.modalities.tokenizer import PADDING
from mmgen_jax.networks.conditioning.tokens import Tokens
from mmgen_jax.networks.layers.blocks import TransformerBlock


class Encoder(nn.Module):
    """`[B, L] int32` to `[B, L, D]`, masked at padding."""

    vocab_size: int
    features: Size = 128
    num_layers: Depth = 2
    num_heads: Size = 4
    dropout: Rate = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, array, mask, train: bool = False) -> Tokens:
        words = (array != PADDING) & mask[:, None]
        positions = self.param("positions", nn.initializers.normal(0.02), (array.shape[1], self.features))
        values = nn.Embed(self.vocab_size, self.features, dtype=self.dtype)(array) + positions.astype(self.dtype)
        for _ in range(self.num_layers):
            values = TransformerBlock(self.num_heads, dropout=self.dropout, dtype=self.dtype)(
                values, words, train=train
            )
        return Tokens(nn.LayerNorm(dtype=self.dtype)(values), words)
