"""U-Net that denoises a picture or a grid of latents (Ronneberger et al., 2015; Ho et al., 2020).

Residual blocks on the way down and up, joined by skips; at the coarsest grid a transformer block attends to the grid
and to the conditions' tokens. Time and the conditions' pooled vector give every normalisation its scale and shift.

Departs from DDPM: blocks of `patch_size` x `patch_size` pixels become channels first (as in Hoogeboom et al., 2023),
which saves the largest grid; skips are added rather than concatenated; the grid is halved by a mean and doubled by
repetition; attention stands at the coarsest grid alone.
"""

from __future__ import annotations

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.layers import blocks, convolution
from mmgen_jax.networks.layers.convolution import depth_to_space, space_to_depth


class Generator(nn.Module):
    """`x [B, H, W, C]` at `time [B]` in [0, 1] to `[B, H, W, C]`, unbounded.

    Args:
      channels: of each grid, the finest first; each is half the size of the one before.
      num_blocks: residual blocks per grid, on the way down as on the way up.
      patch_size: side of the pixel blocks that the finest grid has as cells; 1 for latents.
      num_heads: of the attention at the coarsest grid.
      features: length of the vector that time and conditions make.
      norm: `layer` (each cell alone), `group`, `instance` or `none`.
    """

    channels: tuple[int, ...] = (64, 128)
    num_blocks: int = 1
    patch_size: int = 2
    num_heads: int = 4
    features: int = 128
    norm: str = "layer"
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, time: jax.Array, condition: Condition | None, train: bool = False) -> jax.Array:
        self._check(x.shape)
        vector = blocks.TimeEmbedding(self.features, dtype=self.dtype, name="time")(time)
        if condition is not None:
            vector = vector + nn.Dense(self.features, dtype=self.dtype, name="condition")(condition.pooled)
        vector = nn.silu(vector)

        def block(h, features):
            layer = blocks.ResidualBlock(features, norm=self.norm, dtype=self.dtype, activation=nn.silu)
            return layer(h, train, vector)

        patch = (self.patch_size, self.patch_size)
        outputs = x.shape[-1] * self.patch_size**2
        conv = functools.partial(convolution.Conv, kernel_size=3, dtype=self.dtype)
        h = conv(self.channels[0], name="input")(space_to_depth(x.astype(self.dtype), patch))
        skips = []
        for level, features in enumerate(self.channels):
            h = blocks.downsample(h) if level else h
            for _ in range(self.num_blocks):
                h = block(h, features)
                skips.append(h)
        h = self._attend(h, condition, train)
        for level, features in reversed(list(enumerate(self.channels))):
            if level < len(self.channels) - 1:
                h = blocks.upsample(conv(features, kernel_size=1)(h))  # they commute; this order has fewer cells
            for _ in range(self.num_blocks):
                h = block(h + skips.pop(), features)
        h = nn.silu(blocks.ConditionalNorm(self.norm, dtype=self.dtype, name="output_norm")(h, vector, train))
        # Small, so that the first prediction is near zero, but not zero: everything before it gets a gradient at once.
        output = conv(outputs, kernel_init=nn.initializers.normal(1e-2), name="output")(h)
        return depth_to_space(output, patch)

    def _attend(self, h, condition, train):
        attention = blocks.TransformerBlock(self.num_heads, mlp_ratio=2, dtype=self.dtype, name="attention")
        cells = h.reshape(h.shape[0], -1, h.shape[-1])
        context = (None, None) if condition is None else (condition.tokens, condition.mask)
        return attention(cells, None, *context, train=train).reshape(h.shape)

    def _check(self, shape):
        factor = self.patch_size << (len(self.channels) - 1)
        if len(shape) != 4 or shape[1] % factor or shape[2] % factor:
            raise ValueError(
                f"generators/unet: expected an input [B, H, W, C] whose sides {factor} divides (patch_size "
                f"{self.patch_size} and {len(self.channels)} grids), got {list(shape)}; change patch_size or the "
                "number of channels"
            )
