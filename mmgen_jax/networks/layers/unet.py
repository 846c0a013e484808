"""The U-Net of `generators/unet.py` (a denoiser) and `generators/unet_translation.py`."""

from __future__ import annotations

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Depths, Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition, tokens_of
from mmgen_jax.networks.layers import blocks, convolution
from mmgen_jax.networks.layers.patches import depth_to_space, space_to_depth
from mmgen_jax.networks.layers.strides import patch_sizes, stage_strides

SKIPS = ("add", "concat")


def join_skip(x: jax.Array, skip: jax.Array, how: str) -> jax.Array:
    """Joins the way up (`x`) with the way down (`skip`) at one grid: `add` sums, `concat` concatenates channels."""
    if how not in SKIPS:
        raise ConfigError(f"generator.skips: expected {' or '.join(SKIPS)}, got {how!r}")
    return x + skip if how == "add" else jnp.concatenate([x, skip], axis=-1)


class UNet(nn.Module):
    """Fields and layers of the U-Net; the `__call__` of a subclass makes the input and the vector, and calls `run`.

    Args:
      channels: channels at each grid, the finest first; each grid is half the previous grid (`layers/strides.py`).
      num_blocks: residual blocks at each grid, on the way down and again on the way up.
      patch_size: side of the input patches that become the cells of the finest grid, e.g. 1 for latents. An int applies
        to all axes but the time of a clip; a tuple has one size for each axis.
      num_heads: heads of the attention at the coarsest grid.
      features: length of the vector that gives every normalisation its scale and shift.
      norm: `layer` (each cell alone), `group`, `instance` or `none`.
      skips: how a skip connection joins: `add` or `concat`.
    """

    channels: tuple[Size, ...] = (64, 128)
    num_blocks: Depths = 1
    patch_size: Size | tuple[Size, ...] = 2
    num_heads: Size = 4
    features: Size = 128
    norm: str = "layer"
    skips: str = "add"
    dtype: jnp.dtype = jnp.float32

    def run(self, x, vector, condition: Condition | None, num_outputs: int, train: bool):
        """`x [B, *grid, C]` and a vector `[B, features]` or None to `[B, *grid, num_outputs]`.

        Raises:
          ConfigError: see `strides.patch_sizes`, or `skips` is unknown.
        """
        name = type(self).__module__.rpartition(".")[2]
        patch = patch_sizes(f"generators/{name}", self.patch_size, x.shape, num_grids=len(self.channels))

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
                # Upsampling and a 1x1 convolution commute; in this order the convolution has fewer cells.
                h = blocks.upsample(conv(features, kernel_size=1)(h), strides[level])
            for _ in range(self.num_blocks):
                h = block(join_skip(h, skips.pop(), self.skips), features)
        if vector is None:
            h = blocks.norm(self.norm, train, self.dtype)(h)
        else:
            h = blocks.ConditionalNorm(self.norm, dtype=self.dtype, name="output_norm")(h, vector, train)
        # Small initial values: the first output is near zero, and the layers before this one get a gradient at once.
        small = nn.initializers.normal(1e-2)
        output = conv(num_outputs * math.prod(patch), kernel_init=small, name="output")(nn.silu(h))
        return depth_to_space(output, patch)

    def _attend(self, h, condition, train):
        attention = blocks.TransformerBlock(self.num_heads, mlp_ratio=2, dtype=self.dtype, name="attention")
        cells = h.reshape(h.shape[0], -1, h.shape[-1])
        return attention(cells, None, *tokens_of(condition), train=train).reshape(h.shape)
