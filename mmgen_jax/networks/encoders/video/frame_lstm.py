"""A convolutional network over each frame, then a bidirectional LSTM over time (LRCN, Donahue et al. 2015).

Departs from the paper: the LSTM is bidirectional, and the frame network is trained from scratch with the LSTM.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.config.ranges import Depth, Size
from mmgen_jax.networks.conditioning.tokens import Tokens
from mmgen_jax.networks.layers.recurrent import Recurrent
from mmgen_jax.networks.layers.trunk import Trunk


class Encoder(nn.Module):
    """`[B, T, H, W, C]` to `[B, T, D]`, one token per frame."""

    features: Size = 128
    channels: tuple[Size, ...] = (32, 64, 128)
    num_layers: Depth = 1
    norm: str = "group"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, array, mask, train: bool = False) -> Tokens:
        trunk = Trunk(self.channels, 0, self.norm, self.dtype, name="trunk")
        grid = trunk(array, train)  # [B, T, h, w, channels]
        frames = nn.Dense(self.features, dtype=self.dtype)(grid.reshape(*grid.shape[:2], -1))
        values = Recurrent(self.features, "lstm", self.num_layers, self.dtype)(nn.silu(frames))
        return Tokens(values, jnp.broadcast_to(mask[:, None], values.shape[:2]))
