"""Histograms of edge orientation weighted by magnitude (as in HOG, Dalal and Triggs 2005), under a square root."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.networks.conditioning.readout import CellTokens
from mmgen_jax.networks.conditioning.tokens import Tokens
from mmgen_jax.networks.features.image import edge_histogram


class Encoder(nn.Module):
    """`[B, H, W, C]` (1 or 3 channels) to one token per cell of a `grid` × `grid` partition, `[B, grid², D]`."""

    features: int = 128
    bins: int = 8
    grid: int = 4
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, array, mask, train: bool = False) -> Tokens:
        descriptor = jnp.sqrt(edge_histogram(array, self.bins, self.grid) + 1e-6)  # no infinite slope at 0
        return CellTokens(self.features, self.dtype)(descriptor, mask)
