"""Decoder from a grid of tokens to a sequence, an image or a clip: the decoder of VQ-VAE (van den Oord et al., 2017).

Residual blocks and transposed convolutions that double the grid take turns. Aligned sources are further channels of the
first convolution and of every transposed convolution.

Departs from the paper: residual blocks have a normalisation (group normalisation by default); they are used at every
grid but the finest, while the paper uses them at the coarsest grid only.
"""

from __future__ import annotations

import math
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Depths, Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition, pooled_of
from mmgen_jax.networks.layers import blocks, convolution
from mmgen_jax.networks.layers.aligned import join
from mmgen_jax.networks.layers.strides import check_rank, coarse_grid, kernel_sizes, sides, stage_strides


def doublings(num_tokens: int, *grid: int) -> int:
    """The number of stages that double a coarse grid of `num_tokens` cells to `grid`: 2 for 49 tokens and 28 x 28.

    Raises:
      ConfigError: no coarse grid with `num_tokens` cells doubles to `grid` by the rule of `layers/strides.py`.
    """
    stages = range(max(sides(grid)).bit_length())
    stages = [n for n in stages if not any(side % (1 << n) for side in sides(grid))]
    sizes = [math.prod(coarse_grid(grid, stage_strides(grid, n))) for n in stages]
    if num_tokens not in sizes:
        raise ConfigError(
            f"generators/grid: expected one of {', '.join(map(str, sizes))} tokens, which doubling brings to "
            f"{' x '.join(map(str, grid))} cells, got {num_tokens}; change the encoder's number of stages"
        )
    return sizes.index(num_tokens)


class Generator(nn.Module):
    """`[B, N, D] -> [B, *shape]`, unbounded; the tokens are in row-major order, as from `encoders/trunk.py`.

    Args:
      shape: `(T, C)`, `(H, W, C)` or `(T, H, W, C)`.
      width: channels before the output convolution; each coarser grid has twice as many, up to `max_width`.
      num_blocks: residual blocks at each grid but the finest.
      norm: normalisation of the residual blocks; the pooled conditions, where there are any, give its scale and shift.
      upsampling: how a grid is doubled. `transposed` convolutions, as in the paper; or `nearest`, repeated cells and a
        convolution, with one more convolution at the finest grid. `nearest` draws no checkerboard (Odena et al., 2016).

    Raises:
      ConfigError: see `doublings`; a shape of another rank, or another `upsampling`.
    """

    form: ClassVar[str] = "tokens"

    shape: tuple[int, ...]
    width: Size = 32
    max_width: Size = 128
    num_blocks: Depths = 1
    norm: str = "group"
    upsampling: str = "transposed"
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self):
        check_rank("generators/grid", self.shape[:-1])
        if self.upsampling not in ("transposed", "nearest"):
            raise ConfigError(f"generators/grid: upsampling: expected transposed or nearest, got {self.upsampling!r}")
        super().__post_init__()

    @nn.compact
    def __call__(self, tokens: jax.Array, condition: Condition | None = None, train: bool = False) -> jax.Array:
        *grid, channels = self.shape
        stages = stage_strides(grid, doublings(tokens.shape[1], *grid))
        vector = pooled_of(condition)
        features = [min(self.max_width, self.width << i) for i in reversed(range(max(len(stages), 1)))]

        nearest = self.upsampling == "nearest"

        def double(x, size, strides, name=None):
            if nearest:
                x = blocks.upsample(join(nn.silu(x), condition), strides)
                return convolution.Conv(size, 3, dtype=self.dtype)(x)
            layer = convolution.ConvTranspose(size, kernel_sizes(strides), strides, dtype=self.dtype, name=name)
            return layer(join(nn.silu(x), condition))

        x = tokens.reshape(tokens.shape[0], *coarse_grid(grid, stages), -1).astype(self.dtype)
        x = convolution.Conv(features[0], 3, dtype=self.dtype, name="input")(join(x, condition))
        for stage, size in enumerate(features):
            if stage:
                x = double(x, size, stages[-stage])
            for _ in range(self.num_blocks):
                block = blocks.ResidualBlock(size, norm=self.norm, dtype=self.dtype, activation=nn.silu)
                x = block(x, train, vector)
        if not stages:
            return convolution.Conv(channels, 3, dtype=self.dtype, name="output")(nn.silu(x))
        if nearest:
            x = double(x, features[-1], stages[0])
            return convolution.Conv(channels, 3, dtype=self.dtype, name="output")(join(nn.silu(x), condition))
        return double(x, channels, stages[0], name="output")
