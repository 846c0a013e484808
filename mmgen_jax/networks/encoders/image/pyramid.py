"""Convolutions over an image, with features at several grids; style transfer uses the statistics of these features.

No layer normalises, because normalisation removes the statistics of an example. By default, the border is mirrored:
padding with zeros would add an edge that the picture does not have.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Tokens
from mmgen_jax.networks.layers.convolution import Conv

PADDINGS = ("reflect", "wrap")


class Encoder(nn.Module):
    """`[B, H, W, C]` to `[B, N, D]`, with N the number of cells of the last grid, in row-major order.

    The first grid has the image's own size, each further grid half the size of the grid before.

    Args:
      features: length D of the tokens.
      channels: channels of each grid.
      padding: at the border of every grid: `reflect`, or `wrap` for pictures that repeat.

    Raises:
      ConfigError: an unknown `padding`, or an image whose sides cannot be halved so often.
    """

    features: Size = 128
    channels: tuple[Size, ...] = (32, 64, 128)
    padding: str = "reflect"
    dtype: Any = jnp.float32

    def setup(self):
        if self.padding not in PADDINGS:
            raise ConfigError(f"encoders/image.pyramid: padding: expected reflect or wrap, got {self.padding!r}")
        own = {"padding": "VALID", "dtype": self.dtype, "kernel_init": nn.initializers.he_normal()}
        self.first = Conv(self.channels[0], 3, **own)
        self.halve = [Conv(size, 4, 2, **own) for size in self.channels[1:]]
        self.refine = [Conv(size, 3, **own) for size in self.channels[1:]]
        self.tokens = nn.Dense(self.features, dtype=self.dtype)

    def grids(self, array: jax.Array) -> list[jax.Array]:
        """The features of every grid, `[B, H / 2^k, W / 2^k, channels[k]]`, non-negative, the finest first."""
        factor = 1 << (len(self.channels) - 1)
        if any(side % factor or side // factor < 2 for side in array.shape[1:3]):
            raise ConfigError(
                f"encoders/image.pyramid: {len(self.channels)} grids need sides that are multiples of {factor}, from "
                f"{2 * factor} on, got {list(array.shape[1:3])}; change the number of channels or the picture's size"
            )
        x = nn.relu(self.first(self._padded(array)))
        grids = [x]
        for halve, refine in zip(self.halve, self.refine):
            x = nn.relu(refine(self._padded(nn.relu(halve(self._padded(x))))))
            grids.append(x)
        return grids

    def __call__(self, array: jax.Array, mask: jax.Array, train: bool = False) -> Tokens:
        last = self.grids(array)[-1]
        values = self.tokens(last.reshape(last.shape[0], -1, last.shape[-1]))
        return Tokens(values, jnp.broadcast_to(mask[:, None], values.shape[:2]))

    def _padded(self, x: jax.Array) -> jax.Array:
        return jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode=self.padding)
