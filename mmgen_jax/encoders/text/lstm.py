"""Bidirectional LSTM (Graves and Schmidhuber, 2005) that stops at each text's own end."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.conditioning import Tokens
from mmgen_jax.features.text import PADDING


class Encoder(nn.Module):
    """`[B, L] int32` to `[B, L, D]`: both directions' outputs at each word, `D / 2` from either."""

    vocab_size: int
    features: int = 128
    num_layers: int = 1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, array, mask, train: bool = False) -> Tokens:
        words = (array != PADDING) & mask[:, None]
        lengths = words.sum(axis=1)
        values = nn.Embed(self.vocab_size, self.features, dtype=self.dtype)(array)
        for _ in range(self.num_layers):
            forward = nn.RNN(nn.OptimizedLSTMCell(self.features - self.features // 2, dtype=self.dtype))
            backward = nn.RNN(nn.OptimizedLSTMCell(self.features // 2, dtype=self.dtype))
            values = nn.Bidirectional(forward, backward)(values, seq_lengths=lengths)
        return Tokens(values, words)
