"""Square roots of histograms of edge orientation, weighted by magnitude (as in HOG, Dalal and Triggs 2005)."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.config.ranges import Size
from mmgen_jax.networks.conditioning.readout import CellTokens
from mmgen_jax.networks.conditioning.tokens import Tokens
from mmgen_jax.networks.features.image import edge_histogram


class Encoder(nn.Module):
    """`[B, H, W, C]`, C 1 or 3, to `[B, grid², D]`, one token per cell of a `grid` × `grid` partition of the image."""

    features: Size = 128
    bins: Size = 8
    grid: Size = 4
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, array, mask, train: bool = False) -> Tokens:
        descriptor = jnp.sqrt(edge_histogram(array, self.bins, self.grid) + 1e-6)  # finite gradient at 0
        return CellTokens(self.features, self.dtype)(descriptor, mask)
