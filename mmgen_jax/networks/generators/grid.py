"""Decoder from a grid of tokens to an image: residual blocks, then transposed convolutions.

It is the decoder of VQ-VAE (van den Oord et al., 2017). Departs from the paper: residual blocks are normalised (per
group by default), and stand at every size but the last.
"""

from __future__ import annotations

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.layers import blocks, convolution


def doublings(num_tokens: int, *sides: int) -> int:
    """How often the grid of so many tokens is doubled to give sides of so many cells: 49 -> 2 for 28 x 28 pixels.

    Raises:
      ValueError: no grid of so many tokens does.
    """
    halvings = range(max(sides).bit_length())
    sizes = [math.prod(side >> n for side in sides) for n in halvings if not any(side % (1 << n) for side in sides)]
    if num_tokens not in sizes:
        raise ValueError(
            f"generators/grid: expected one of {', '.join(map(str, sizes))} tokens, which doubling brings to "
            f"{' x '.join(map(str, sides))} cells, got {num_tokens}; change the encoder's number of stages"
        )
    return sizes.index(num_tokens)


class Generator(nn.Module):
    """`[B, N, D] -> [B, H, W, C]`, the tokens in rows from the top left, as `encoders/image/cnn.py` gives them.

    Args:
      shape: `(H, W, C)` of the image.
      width: channels before the output convolution, doubling towards the coarsest grid up to `max_width`.
      num_blocks: residual blocks at each size but the image's own.
      norm: of the residual blocks; where there are conditions, their pooled vector gives its scale and shift.
    """

    shape: tuple[int, int, int]
    width: int = 32
    max_width: int = 128
    num_blocks: int = 1
    norm: str = "group"
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self):
        if len(self.shape) != 3:
            raise ValueError(f"generators/grid: draws images, expected a shape (H, W, C), got {tuple(self.shape)}")
        super().__post_init__()

    @nn.compact
    def __call__(self, tokens: jax.Array, condition: Condition | None = None, train: bool = False) -> jax.Array:
        height, width, channels = self.shape
        num = doublings(tokens.shape[1], height, width)
        vector = None if condition is None else condition.pooled
        features = [min(self.max_width, self.width << i) for i in reversed(range(max(num, 1)))]
        x = tokens.reshape(tokens.shape[0], height >> num, width >> num, -1).astype(self.dtype)
        x = convolution.Conv(features[0], 3, dtype=self.dtype, name="input")(x)
        for stage, size in enumerate(features):
            if stage:
                x = convolution.ConvTranspose(size, kernel_size=4, strides=2, dtype=self.dtype)(nn.silu(x))
            for _ in range(self.num_blocks):
                block = blocks.ResidualBlock(size, norm=self.norm, dtype=self.dtype, activation=nn.silu)
                x = block(x, train, vector)
        x = nn.silu(x)
        if not num:
            return convolution.Conv(channels, 3, dtype=self.dtype, name="output")(x)
        return convolution.ConvTranspose(channels, kernel_size=4, strides=2, dtype=self.dtype, name="output")(x)
