"""Factorised encoder (ViViT model 2, Arnab et al. 2021): attention within each time step, then between time steps.

A time step is `tubelet_frames` consecutive frames, and its patches span all of them, so the first layer sees motion.

Departs from the paper: the vector of a time step is a dense layer over all its patches instead of a CLS token, and
patches come from a convolutional stem unless `stem` is `linear`. A small model with linear patches and their mean did
not learn the direction of a motion.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.config.ranges import Depth, Rate, Size
from mmgen_jax.errors import InputError
from mmgen_jax.networks.conditioning.tokens import Tokens
from mmgen_jax.networks.encoders.image.vit import Patches
from mmgen_jax.networks.layers.blocks import TransformerBlock


class Encoder(nn.Module):
    """`[B, T, H, W, C]` to `[B, T / tubelet_frames, D]`, one token per time step.

    Args:
      patch_size, stem: as in `encoders/image/vit.py`.
      tubelet_frames: frames of a time step; divides T.
      space_layers, time_layers: transformer blocks within a time step, and between time steps.

    Raises:
      InputError: `tubelet_frames`, `patch_size` or `stem` does not fit.
    """

    features: Size = 128
    patch_size: Size = 8
    tubelet_frames: Size = 2
    stem: str = "conv"
    space_layers: Depth = 2
    time_layers: Depth = 2
    num_heads: Size = 4
    dropout: Rate = 0.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, array, mask, train: bool = False) -> Tokens:
        batch_size, num_frames, *size, channels = array.shape
        if num_frames % self.tubelet_frames:
            raise InputError(
                f"tubelet_frames: expected a divisor of the {num_frames} frames, got {self.tubelet_frames}"
            )
        steps = num_frames // self.tubelet_frames
        tubelets = array.reshape(batch_size, steps, self.tubelet_frames, *size, channels)
        tubelets = jnp.moveaxis(tubelets, 2, -2).reshape(batch_size, steps, *size, -1)
        values = Patches(self.features, self.patch_size, self.stem, self.dtype)(tubelets)  # [B, T, N, D]
        values = self.blocks(values.reshape(-1, *values.shape[2:]), self.space_layers, "space", train)
        values = nn.Dense(self.features, dtype=self.dtype)(values.reshape(batch_size, steps, -1))
        positions = self.param("positions", nn.initializers.normal(0.02), values.shape[1:])
        values = self.blocks(values + positions.astype(values.dtype), self.time_layers, "time", train)
        return Tokens(values, jnp.broadcast_to(mask[:, None], values.shape[:2]))

    def blocks(self, values, num_layers: int, name: str, train: bool):
        for layer in range(num_layers):
            block = TransformerBlock(self.num_heads, dropout=self.dropout, dtype=self.dtype, name=f"{name}_{layer}")
            values = block(values, train=train)
        return nn.LayerNorm(dtype=self.dtype, name=f"{name}_norm")(values)
