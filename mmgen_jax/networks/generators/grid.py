"""Decoder from a grid of tokens to an image: residual blocks, then transposed convolutions.

It is the decoder of VQ-VAE (van den Oord et al., 2017). Departs from the paper: residual blocks are normalised (per
group by default), and stand at every size but the last.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.networks.conditioning.tokens import Fused
from mmgen_jax.networks.layers import blocks, convolution


def doublings(num_tokens: int, height: int, width: int) -> int:
    """How often the grid of so many tokens is doubled to give the image: 49 -> 2 for 28 x 28 pixels.

    Raises:
      ValueError: no grid of so many tokens does.
    """
    sizes = [
        (height >> n) * (width >> n) for n in range(height.bit_length()) if not (height % (1 << n) or width % (1 << n))
    ]
    if num_tokens not in sizes:
        raise ValueError(
            f"generators/grid: expected one of {', '.join(map(str, sizes))} tokens, which doubling brings to "
            f"{height} x {width} pixels, got {num_tokens}; change the encoder's number of stages"
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
    axis_name: str | None = None
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self):
        if len(self.shape) != 3:
            raise ValueError(f"generators/grid: draws images, expected a shape (H, W, C), got {tuple(self.shape)}")
        super().__post_init__()

    @nn.compact
    def __call__(self, tokens: jax.Array, fused: Fused | None = None, train: bool = False) -> jax.Array:
        height, width, channels = self.shape
        num = doublings(tokens.shape[1], height, width)
        vector = None if fused is None else fused.pooled
        features = [min(self.max_width, self.width << i) for i in reversed(range(max(num, 1)))]
        x = tokens.reshape(tokens.shape[0], height >> num, width >> num, -1).astype(self.dtype)
        x = convolution.Conv(features[0], 3, dtype=self.dtype, name="input")(x)
        for stage, size in enumerate(features):
            if stage:
                x = convolution.ConvTranspose(size, kernel_size=4, strides=2, dtype=self.dtype)(nn.silu(x))
            for _ in range(self.num_blocks):
                block = blocks.ResidualBlock(
                    size, norm=self.norm, axis_name=self.axis_name, dtype=self.dtype, activation=nn.silu
                )
                x = block(x, train, vector)
        x = nn.silu(x)
        if not num:
            return convolution.Conv(channels, 3, dtype=self.dtype, name="output")(x)
        return convolution.ConvTranspose(channels, kernel_size=4, strides=2, dtype=self.dtype, name="output")(x)
