"""Strided convolutional network, with residual blocks if asked for; one token for each cell of the last grid.

Normalised per group, not per batch, by default: a masked image then cannot change another one's tokens.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.networks.conditioning.tokens import Tokens
from mmgen_jax.networks.layers.blocks import ResidualBlock, norm
from mmgen_jax.networks.layers.convolution import Conv


class Trunk(nn.Module):
    """`[..., H, W, C]` to `[..., H / 2^n, W / 2^n, channels[-1]]`, rounded up, for n stages of `channels`.

    Each stage halves the grid and then has `num_blocks` residual blocks.
    """

    channels: tuple[int, ...] = (32, 64, 128)
    num_blocks: int = 0
    norm: str = "group"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images, train: bool = False):
        grid = images.reshape(-1, *images.shape[-3:])
        for width in self.channels:
            grid = Conv(width, 4, strides=2, dtype=self.dtype)(grid)
            grid = nn.silu(norm(self.norm, train, self.dtype)(grid))
            for _ in range(self.num_blocks):
                grid = ResidualBlock(width, norm=self.norm, dtype=self.dtype, activation=nn.silu)(grid, train)
        return grid.reshape(*images.shape[:-3], *grid.shape[1:])


class Encoder(nn.Module):
    """`[B, H, W, C]` to `[B, N, D]`, N the cells of the last grid: 16 for 32 x 32 pixels and three stages."""

    features: int = 128
    channels: tuple[int, ...] = (32, 64, 128)
    num_blocks: int = 0
    norm: str = "group"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, array, mask, train: bool = False) -> Tokens:
        trunk = Trunk(self.channels, self.num_blocks, self.norm, self.dtype, name="trunk")
        grid = trunk(array, train)
        values = nn.Dense(self.features, dtype=self.dtype)(grid.reshape(grid.shape[0], -1, grid.shape[-1]))
        positions = self.param("positions", nn.initializers.normal(0.02), values.shape[1:])
        token_mask = jnp.broadcast_to(mask[:, None], values.shape[:2])
        return Tokens(values + positions.astype(values.dtype), token_mask)
