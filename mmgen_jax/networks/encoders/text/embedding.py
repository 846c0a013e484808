"""A bag of words: one learned vector per word, without positions."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.config.ranges import Size
from mmgen_jax.modalities.tokenizer import PADDING
from mmgen_jax.networks.conditioning.tokens import Tokens, masked_mean


class Encoder(nn.Module):
    """`[B, L] int32` to `[B, L, D]`, masked at padding; with `pool`, to the mean over the words `[B, 1, D]`."""

    vocab_size: int
    features: Size = 128
    pool: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, array, mask, train: bool = False) -> Tokens:
        words = (array != PADDING) & mask[:, None]
        values = nn.Embed(self.vocab_size, self.features, dtype=self.dtype)(array)
        if self.pool:
            return Tokens(masked_mean(values, words)[:, None], words.any(axis=1, keepdims=True))
        return Tokens(values, words)
