"""The U-Net that `generators/unet.py` (a denoiser) and `generators/unet_translation.py` share."""

from __future__ import annotations

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition, tokens_of
from mmgen_jax.networks.layers import blocks, convolution
from mmgen_jax.networks.layers.convolution import depth_to_space, space_to_depth
from mmgen_jax.networks.layers.strides import check_rank, sides, stage_strides

SKIPS = ("add", "concat")


def join_skip(x: jax.Array, skip: jax.Array, how: str) -> jax.Array:
    """What comes up, and what went down at the same grid: their sum, or one after the other as channels."""
    if how not in SKIPS:
        raise ConfigError(f"generator.skips: expected {' or '.join(SKIPS)}, got {how!r}")
    return x + skip if how == "add" else jnp.concatenate([x, skip], axis=-1)


class UNet(nn.Module):
    """Fields and layers of the U-Net; a subclass says in its `__call__` where its input and its vector come from.

    Args:
      channels: of each grid, the finest first; each is half the one before, as `layers/strides.py` says.
      num_blocks: residual blocks per grid, on the way down as on the way up.
      patch_size: side of the blocks that the finest grid has as cells, 1 for latents; an int leaves the frames of a
        clip apart, a tuple has one for each axis.
      num_heads: of the attention at the coarsest grid.
      features: length of the vector that gives every normalisation its scale and shift.
      norm: `layer` (each cell alone), `group`, `instance` or `none`.
      skips: how the way up reads the way down: `add` or `concat`.
    """

    channels: tuple[int, ...] = (64, 128)
    num_blocks: int = 1
    patch_size: int | tuple[int, ...] = 2
    num_heads: int = 4
    features: int = 128
    norm: str = "layer"
    skips: str = "add"
    dtype: jnp.dtype = jnp.float32

    def run(self, x, vector, condition: Condition | None, num_outputs: int, train: bool):
        """`x [B, *grid, C]` and a vector `[B, features]` or None to `[B, *grid, num_outputs]`; called once."""
        patch = self._patch(x.shape)

        def block(h, features):
            layer = blocks.ResidualBlock(features, norm=self.norm, dtype=self.dtype, activation=nn.silu)
            return layer(h, train, vector)

        conv = functools.partial(convolution.Conv, kernel_size=3, dtype=self.dtype)
        h = conv(self.channels[0], name="input")(space_to_depth(x.astype(self.dtype), patch))
        strides = stage_strides(h.shape[1:-1], len(self.channels) - 1)
        skips = []
        for level, features in enumerate(self.channels):
            h = blocks.downsample(h, strides[level - 1]) if level else h
            for _ in range(self.num_blocks):
                h = block(h, features)
                skips.append(h)
        h = self._attend(h, condition, train)
        for level, features in reversed(list(enumerate(self.channels))):
            if level < len(self.channels) - 1:
                # They commute; this order has fewer cells.
                h = blocks.upsample(conv(features, kernel_size=1)(h), strides[level])
            for _ in range(self.num_blocks):
                h = block(join_skip(h, skips.pop(), self.skips), features)
        if vector is None:
            h = blocks.norm(self.norm, train, self.dtype)(h)
        else:
            h = blocks.ConditionalNorm(self.norm, dtype=self.dtype, name="output_norm")(h, vector, train)
        # Small, so that the first output is near zero, but not zero: everything before it gets a gradient at once.
        small = nn.initializers.normal(1e-2)
        output = conv(num_outputs * math.prod(patch), kernel_init=small, name="output")(nn.silu(h))
        return depth_to_space(output, patch)

    def _attend(self, h, condition, train):
        attention = blocks.TransformerBlock(self.num_heads, mlp_ratio=2, dtype=self.dtype, name="attention")
        cells = h.reshape(h.shape[0], -1, h.shape[-1])
        return attention(cells, None, *tokens_of(condition), train=train).reshape(h.shape)

    def _patch(self, shape) -> tuple[int, ...]:
        """`patch_size` of each axis.

        Raises:
          ConfigError: the patches, or the grids of `channels`, do not divide the input.
        """
        name = type(self).__module__.rpartition(".")[2]
        grid = shape[1:-1]
        check_rank(f"generators/{name}", grid)
        patch = self.patch_size
        if isinstance(patch, int):
            patch = (patch,) * len(grid) if len(grid) < 3 else (1, patch, patch)
        if len(patch) != len(grid):
            raise ConfigError(f"generators/{name}: expected a patch_size for each axis of {list(shape)}, got {patch}")
        factors = [size << (len(self.channels) - 1) for size in sides(patch)]
        if any(side % factor for side, factor in zip(sides(grid), factors)):
            factor = factors[0] if len(set(factors)) == 1 else tuple(factors)
            raise ConfigError(
                f"generators/{name}: expected an input [B, *grid, C] whose sides {factor} divides (patch_size "
                f"{self.patch_size} and {len(self.channels)} grids), got {list(shape)}; change patch_size or the "
                "number of channels"
            )
        if grid[0] % patch[0]:
            raise ConfigError(f"generators/{name}: patch_size: {patch[0]} frames do not divide {grid[0]}")
        return tuple(patch)
