"""A class label as one learned vector."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.config.ranges import Size
from mmgen_jax.networks.conditioning.tokens import Tokens


class Encoder(nn.Module):
    """`[B] int32` in [0, num_classes) to `[B, 1, D]`."""

    num_classes: int
    features: Size = 128
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, array, mask, train: bool = False) -> Tokens:
        values = nn.Embed(self.num_classes, self.features, dtype=self.dtype)(array)
        return Tokens(values[:, None], mask[:, None])
