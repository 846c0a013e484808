"""Strided convolutional network over a sequence, an image or a clip; one token for each cell of the last grid.

The default is group normalisation: with batch normalisation a masked example would change the tokens of other examples.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.config.ranges import Depths, Size
from mmgen_jax.networks.conditioning.tokens import Tokens
from mmgen_jax.networks.layers.strides import check_rank
from mmgen_jax.networks.layers.trunk import Trunk


class Encoder(nn.Module):
    """`[B, *grid, C]` to `[B, N, D]`, with N the number of cells of the last grid, as `generators/grid.py` reads them.

    Tokens are in row-major order. Each stage halves the grid (`layers/strides.py`): 32 x 32 pixels and three stages
    give 4 x 4 cells, so N = 16.

    Args:
      features: length D of the tokens.
      channels: channels of each stage.
      num_blocks: residual blocks in each stage.

    Raises:
      ConfigError: the grid's rank is not 1 to 3.
    """

    features: Size = 128
    channels: tuple[Size, ...] = (32, 64, 128)
    num_blocks: Depths = 0
    norm: str = "group"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, array, mask, train: bool = False) -> Tokens:
        check_rank("encoders/trunk", array.shape[1:-1])
        trunk = Trunk(self.channels, self.num_blocks, self.norm, self.dtype, rank=array.ndim - 2, name="trunk")
        grid = trunk(array, train)
        values = nn.Dense(self.features, dtype=self.dtype)(grid.reshape(grid.shape[0], -1, grid.shape[-1]))
        positions = self.param("positions", nn.initializers.normal(0.02), values.shape[1:])
        token_mask = jnp.broadcast_to(mask[:, None], values.shape[:2])
        return Tokens(values + positions.astype(values.dtype), token_mask)
