"""A convolutional network over each frame, then a bidirectional LSTM over time (LRCN, Donahue et al. 2015).

Departs from the paper: both directions of time, and the frame network is trained with the rest.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.networks.conditioning.tokens import Tokens
from mmgen_jax.networks.layers.recurrent import Recurrent
from mmgen_jax.networks.layers.trunk import Trunk


class Encoder(nn.Module):
    """`[B, T, H, W, C]` to one token per frame `[B, T, D]`."""

    features: int = 128
    channels: tuple[int, ...] = (32, 64, 128)
    num_layers: int = 1
    norm: str = "group"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, array, mask, train: bool = False) -> Tokens:
        trunk = Trunk(self.channels, 0, self.norm, self.dtype, name="trunk")
        grid = trunk(array, train)  # [B, T, h, w, channels]
        frames = nn.Dense(self.features, dtype=self.dtype)(grid.reshape(*grid.shape[:2], -1))
        values = Recurrent(self.features, "lstm", self.num_layers, self.dtype)(nn.silu(frames))
        return Tokens(values, jnp.broadcast_to(mask[:, None], values.shape[:2]))
