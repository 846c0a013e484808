"""Convolutions over space and time (C3D, Tran et al. 2015); one token for each cell of the last grid.

Departs from the paper: strided convolutions instead of pooling, and a normalisation after each convolution.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.config.ranges import Size
from mmgen_jax.networks.conditioning.tokens import Tokens
from mmgen_jax.networks.layers.blocks import norm
from mmgen_jax.networks.layers.convolution import Conv


class Encoder(nn.Module):
    """`[B, T, H, W, C]` to `[B, N, D]`, one token per cell of the last grid, in row-major order.

    Args:
      channels: channels of each stage; a stage halves height and width, rounded up.
      time_strides: for each stage, the factor by which it divides the number of frames, rounded up.
    """

    features: Size = 128
    channels: tuple[Size, ...] = (32, 64, 128)
    time_strides: tuple[Size, ...] = (2, 2, 1)
    norm: str = "group"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, array, mask, train: bool = False) -> Tokens:
        grid = array
        for width, stride in zip(self.channels, self.time_strides, strict=True):
            grid = Conv(width, (3, 4, 4), strides=(stride, 2, 2), dtype=self.dtype)(grid)
            grid = nn.silu(norm(self.norm, train, self.dtype)(grid))
        values = nn.Dense(self.features, dtype=self.dtype)(grid.reshape(grid.shape[0], -1, grid.shape[-1]))
        positions = self.param("positions", nn.initializers.normal(0.02), values.shape[1:])
        token_mask = jnp.broadcast_to(mask[:, None], values.shape[:2])
        return Tokens(values + positions.astype(values.dtype), token_mask)
