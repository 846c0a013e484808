"""Convolutions and a bidirectional LSTM over characters: the text encoder of Tacotron 2 (Shen et al., 2018).

Departs from the paper: layer normalisation of each token in place of batch normalisation, so that a token does not
depend on the padding behind the text or on other examples.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.config.ranges import Depths, Rate, Size
from mmgen_jax.modalities.tokenizer import PADDING
from mmgen_jax.networks.conditioning.tokens import Tokens
from mmgen_jax.networks.layers.convolution import Conv
from mmgen_jax.networks.layers.recurrent import Recurrent


class Encoder(nn.Module):
    """`[B, L] int32` to `[B, L, D]`, masked at padding.

    Args:
      kernel_size: of the convolutions, in characters.
      num_convolutions: before the LSTM.
      dropout: behind each convolution.
    """

    vocab_size: int
    features: Size = 128
    kernel_size: Size = 5
    num_convolutions: Depths = 3
    dropout: Rate = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, array, mask, train: bool = False) -> Tokens:
        present = (array != PADDING) & mask[:, None]
        values = nn.Embed(self.vocab_size, self.features, dtype=self.dtype)(array)
        for _ in range(self.num_convolutions):
            values = jnp.where(present[..., None], values, 0)  # a convolution reads zeros behind the text
            values = nn.LayerNorm(dtype=self.dtype)(Conv(self.features, self.kernel_size, dtype=self.dtype)(values))
            values = nn.Dropout(self.dropout, deterministic=not train)(nn.relu(values))
        values = Recurrent(self.features, "lstm", 1, self.dtype)(values, present.sum(axis=1))
        return Tokens(values, present)
