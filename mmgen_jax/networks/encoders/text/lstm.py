"""Bidirectional LSTM over the words of a text, without its padding."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.config.ranges import Depth, Size
from mmgen_jax.modalities.tokenizer import PADDING
from mmgen_jax.networks.conditioning.tokens import Tokens
from mmgen_jax.networks.layers.recurrent import Recurrent


class Encoder(nn.Module):
    """`[B, L] int32` to `[B, L, D]`, masked at padding."""

    vocab_size: int
    features: Size = 128
    num_layers: Depth = 1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, array, mask, train: bool = False) -> Tokens:
        words = (array != PADDING) & mask[:, None]
        values = nn.Embed(self.vocab_size, self.features, dtype=self.dtype)(array)
        values = Recurrent(self.features, "lstm", self.num_layers, self.dtype)(values, words.sum(axis=1))
        return Tokens(values, words)
