"""U-Net that denoises a sequence, an image or a clip, given time and conditions (Ronneberger et al., 2015; Ho et al.,
2020).

Residual blocks on the way down and up, joined by skips; at the coarsest grid a transformer block attends to the grid
and to the conditions' tokens. Time and the conditions' pooled vector give every normalisation its scale and shift;
aligned sources are further channels of the input (as in SR3, Saharia et al., 2021, and Palette, Saharia et al., 2022).

Departs from DDPM: blocks of `patch_size` cells a side become channels first (as in Hoogeboom et al., 2023), which saves
the largest grid; skips are added rather than concatenated unless `skips` says so; the grid is halved by a mean and
doubled by repetition; attention stands at the coarsest grid alone.
"""

from __future__ import annotations

import flax.linen as nn
import jax

from mmgen_jax.networks.conditioning.tokens import Condition, pooled_of
from mmgen_jax.networks.layers import blocks
from mmgen_jax.networks.layers.aligned import join
from mmgen_jax.networks.layers.unet import UNet


class Generator(UNet):
    """`x [B, *grid, C]` at `time [B]` in [0, 1] to `[B, *grid, C]`, unbounded; fields as in `layers/unet.py`."""

    @nn.compact
    def __call__(self, x: jax.Array, time: jax.Array, condition: Condition | None, train: bool = False) -> jax.Array:
        vector = blocks.TimeEmbedding(self.features, dtype=self.dtype, name="time")(time)
        pooled = pooled_of(condition)
        if pooled is not None:
            vector = vector + nn.Dense(self.features, dtype=self.dtype, name="condition")(pooled)
        return self.run(join(x, condition), nn.silu(vector), condition, x.shape[-1], train)
