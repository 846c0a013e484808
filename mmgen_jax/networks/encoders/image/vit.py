"""Vision transformer (Dosovitskiy et al. 2021). Departs from the paper: no CLS token (fusions pool the tokens)."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.config.ranges import Depth, Rate, Size
from mmgen_jax.errors import InputError
from mmgen_jax.networks.conditioning.tokens import Tokens
from mmgen_jax.networks.layers.blocks import TransformerBlock
from mmgen_jax.networks.layers.convolution import Conv
from mmgen_jax.networks.layers.trunk import Trunk


class Patches(nn.Module):
    """`[..., H, W, C]` to `[..., N, D]`, one token per patch with a learned position.

    Args:
      features: length D of the tokens.
      patch_size: side of a patch in pixels; it divides the sides of the image.
      stem: `linear`, a dense layer on each patch (the paper's), or `conv`, stride-2 convolutions down to the same grid
        (Xiao et al. 2021, "Early convolutions help transformers see better"), for a `patch_size` that is a power of 2.
        `conv` needs far less data.

    Raises:
      InputError: `patch_size` or `stem` does not fit.
    """

    features: int
    patch_size: int
    stem: str = "linear"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, images):
        *lead, height, width, channels = images.shape
        size, halvings = self.patch_size, self.patch_size.bit_length() - 1
        if height % size or width % size:
            raise InputError(f"patch_size: expected a divisor of the image's {height} × {width} pixels, got {size}")
        if self.stem not in ("linear", "conv") or (self.stem == "conv" and size != 2**halvings):
            raise InputError(
                f"stem: expected 'linear', or 'conv' with patch_size a power of 2, got {self.stem!r} and {size}"
            )
        images = images.reshape(-1, height, width, channels)
        if self.stem == "conv":
            widths = tuple(max(self.features >> (halvings - 1 - stage), 1) for stage in range(halvings))
            images, size = Trunk(widths, dtype=self.dtype, name="stem")(images), 1
        grid = Conv(self.features, size, strides=size, padding="VALID", dtype=self.dtype)(images)
        values = grid.reshape(*lead, -1, self.features)
        positions = self.param("positions", nn.initializers.normal(0.02), values.shape[-2:])
        return values + positions.astype(values.dtype)


class Encoder(nn.Module):
    """`[B, H, W, C]` to `[B, N, D]`, one token per patch; `patch_size` and `stem` as in `Patches`."""

    features: Size = 128
    patch_size: Size = 8
    stem: str = "linear"
    num_layers: Depth = 4
    num_heads: Size = 4
    dropout: Rate = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, array, mask, train: bool = False) -> Tokens:
        values = Patches(self.features, self.patch_size, self.stem, self.dtype)(array)
        for _ in range(self.num_layers):
            values = TransformerBlock(self.num_heads, dropout=self.dropout, dtype=self.dtype)(values, train=train)
        values = nn.LayerNorm(dtype=self.dtype)(values)
        return Tokens(values, jnp.broadcast_to(mask[:, None], values.shape[:2]))
