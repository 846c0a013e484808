"""A multilayer perceptron: one token for a vector, one token per vector for a sequence of vectors."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.config.ranges import Depth, Size
from mmgen_jax.networks.conditioning.tokens import Tokens


class Encoder(nn.Module):
    """`[B, D]` to `[B, 1, features]`, or `[B, T, D]` to `[B, T, features]`.

    Args:
      hidden: width of all dense layers but the last.
      num_layers: number of dense layers.
    """

    features: Size = 128
    hidden: Size = 256
    num_layers: Depth = 2
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, array, mask, train: bool = False) -> Tokens:
        x = (array[:, None] if array.ndim == 2 else array).astype(self.dtype)
        for _ in range(self.num_layers - 1):
            x = nn.silu(nn.Dense(self.hidden, dtype=self.dtype)(x))
        values = nn.Dense(self.features, dtype=self.dtype)(x)
        return Tokens(values, jnp.broadcast_to(mask[:, None], values.shape[:2]))
