"""U-Net denoiser of sequences, images and clips, given time and conditions (DDPM, Ho et al., 2020).

Residual blocks lie on the way down and on the way up, with skip connections between the two (Ronneberger et al., 2015).
At the coarsest grid, a transformer block attends to the grid and to the conditions' tokens. Time and pooled conditions
give every normalisation its scale and shift. Aligned sources are further channels of the input (as in SR3, Saharia et
al., 2021, and Palette, Saharia et al., 2022).

Departs from DDPM: patches of `patch_size` cells a side become channels before the first convolution (as in Hoogeboom et
al., 2023), which saves the largest grid; skip connections add by default, and concatenate with `skips="concat"`; the
grid is halved by a mean and doubled by repetition; attention is used at the coarsest grid only.
"""

from __future__ import annotations

from typing import ClassVar

import flax.linen as nn
import jax

from mmgen_jax.networks.conditioning.tokens import Condition, pooled_of
from mmgen_jax.networks.layers import blocks
from mmgen_jax.networks.layers.aligned import join
from mmgen_jax.networks.layers.unet import UNet


class Generator(UNet):
    """`x [B, *grid, C]` and `time [B]` in [0, 1] to `[B, *grid, C]`, unbounded; fields as in `layers/unet.py`."""

    form: ClassVar[str] = "noisy"

    @nn.compact
    def __call__(self, x: jax.Array, time: jax.Array, condition: Condition | None, train: bool = False) -> jax.Array:
        vector = blocks.TimeEmbedding(self.features, dtype=self.dtype, name="time")(time)
        pooled = pooled_of(condition)
        if pooled is not None:
            vector = vector + nn.Dense(self.features, dtype=self.dtype, name="condition")(pooled)
        return self.run(join(x, condition), nn.silu(vector), condition, x.shape[-1], train)
