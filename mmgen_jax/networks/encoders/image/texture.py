"""Gabor energies by frequency and orientation (Manjunath and Ma 1996), on a logarithmic scale."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.config.ranges import Positive, Size
from mmgen_jax.networks.conditioning.readout import CellTokens
from mmgen_jax.networks.conditioning.tokens import Tokens
from mmgen_jax.networks.features.image import texture_energies


class Encoder(nn.Module):
    """`[B, H, W, C]`, C 1 or 3, to `[B, grid², D]`, one token per cell of a `grid` × `grid` partition of the image."""

    features: Size = 128
    frequencies: tuple[Positive, ...] = (0.1, 0.2, 0.4)  # cycles per pixel
    orientations: Size = 4
    grid: Size = 4
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, array, mask, train: bool = False) -> Tokens:
        energies = texture_energies(array, self.frequencies, self.orientations, self.grid)
        descriptor = jnp.log(energies + 1e-6)
        return CellTokens(self.features, self.dtype)(descriptor, mask)
