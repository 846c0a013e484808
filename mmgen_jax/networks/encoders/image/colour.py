"""Joint HSV histograms (Swain and Ballard 1991), under a square root (Hellinger kernel)."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.networks.conditioning.readout import CellTokens
from mmgen_jax.networks.conditioning.tokens import Tokens
from mmgen_jax.networks.features.image import colour_histogram


class Encoder(nn.Module):
    """`[B, H, W, 3]` to one token per cell of a `grid` × `grid` partition, `[B, grid², D]`."""

    features: int = 128
    bins: tuple[int, int, int] = (8, 4, 4)  # hue, saturation, value
    grid: int = 4
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, array, mask, train: bool = False) -> Tokens:
        descriptor = jnp.sqrt(colour_histogram(array, self.bins, self.grid) + 1e-6)  # no infinite slope at 0
        return CellTokens(self.features, self.dtype)(descriptor, mask)
