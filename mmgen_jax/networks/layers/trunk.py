"""The convolutional trunk of encoders: strided convolutions over a grid of rank 1 to 3, optional residual blocks."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.networks.layers.blocks import ResidualBlock, norm
from mmgen_jax.networks.layers.convolution import Conv
from mmgen_jax.networks.layers.strides import kernel_sizes, stage_strides


class Trunk(nn.Module):
    """`[..., *grid, C]` to `[..., *coarse, channels[-1]]`, with one stage for each entry of `channels`.

    A stage is a convolution that halves the grid, rounded up (`layers/strides.py`), and `num_blocks` residual blocks.

    Args:
      channels: channels of each stage.
      norm: a kind of `blocks.norm`.
      rank: number of axes of the grid; all axes before the grid count as examples.
    """

    channels: tuple[int, ...] = (32, 64, 128)
    num_blocks: int = 0
    norm: str = "group"
    dtype: Any = jnp.float32
    rank: int = 2

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        shape = x.shape[-self.rank - 1 :]
        grid = x.reshape(-1, *shape)
        for width, strides in zip(self.channels, stage_strides(shape[:-1], len(self.channels))):
            grid = Conv(width, kernel_sizes(strides), strides=strides, dtype=self.dtype)(grid)
            grid = nn.silu(norm(self.norm, train, self.dtype)(grid))
            for _ in range(self.num_blocks):
                grid = ResidualBlock(width, norm=self.norm, dtype=self.dtype, activation=nn.silu)(grid, train)
        return grid.reshape(*x.shape[: -self.rank - 1], *grid.shape[1:])
