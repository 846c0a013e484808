"""Residual generator from aligned sources to a target on the same grid (CycleGAN, Zhu et al., 2017).

A 7 x 7 convolution, strided convolutions down to the coarsest grid, residual blocks there, transposed convolutions up
again, and a 7 x 7 convolution (the network of Johnson et al., 2016). No skip connection bypasses the residual blocks,
so content may move between source and output.

Departs from the paper: borders are padded with zeros instead of reflections; transposed convolutions have kernels of 4
instead of 3, so that they overlap evenly; a latent and pooled conditions, if any, are added at the coarsest grid.
"""

from __future__ import annotations

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Depth, Depths, NotNegative, Rate, Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.generators.translation import sources_of, vector_of
from mmgen_jax.networks.layers import blocks, convolution
from mmgen_jax.networks.layers.strides import kernel_sizes, num_halvings, stage_strides


class Generator(nn.Module):
    """`latent [B, Z]` or None, and aligned sources, to `[B, *shape]`, unbounded.

    Args:
      shape: `(T, C)`, `(H, W, C)` or `(T, H, W, C)`.
      width: channels after the first convolution; each coarser grid has twice as many.
      num_stages: how often the sides are halved, 2 in the paper.
      num_blocks: residual blocks at the coarsest grid, 6 to 9 in the paper.
      norm: `instance`, `layer`, `group`, `batch` or `none`, of every layer but the output.
      dropout: rate inside of the residual blocks.
      init_std: standard deviation of every kernel's initial values, 0.02 in the paper; 0: LeCun initialisation.

    Raises:
      ConfigError: there are no aligned sources, or the sides cannot be halved so often.
    """

    form: ClassVar[str] = "latent"

    shape: tuple[int, ...]
    width: Size = 64
    num_stages: Depth = 2
    num_blocks: Depths = 6
    norm: str = "instance"
    dropout: Rate = 0.0
    init_std: NotNegative = 0.0
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, latent: jax.Array | None, condition: Condition | None, train: bool = False) -> jax.Array:
        *grid, channels = self.shape
        if (possible := num_halvings(grid)) < self.num_stages:
            raise ConfigError(
                f"generators/resnet_translation: cannot halve the sides of {tuple(grid)} {self.num_stages} times, only "
                f"{possible} times; lower num_stages or choose sides that are multiples of {4 << self.num_stages}"
            )
        own = {"dtype": self.dtype, "kernel_init": blocks.kernel_init(self.init_std)}
        bias = self.norm == "none"  # a normalisation has its own bias

        def normalise(x):
            return blocks.norm(self.norm, train, self.dtype)(x)

        x = sources_of(condition, tuple(grid), "resnet_translation").astype(self.dtype)
        x = nn.relu(normalise(convolution.Conv(self.width, 7, use_bias=bias, **own)(x)))
        stages = stage_strides(grid, self.num_stages)
        for i, strides in enumerate(stages, 1):
            sizes = kernel_sizes(strides)
            x = nn.relu(normalise(convolution.Conv(self.width << i, sizes, strides, use_bias=bias, **own)(x)))
        if (vector := vector_of(latent, condition)) is not None:
            added = nn.Dense(x.shape[-1], dtype=self.dtype, name="vector")(vector)
            x = x + added.reshape(len(x), *[1] * len(grid), -1)
        for _ in range(self.num_blocks):
            h = nn.relu(normalise(convolution.Conv(x.shape[-1], 3, use_bias=bias, **own)(x)))
            h = nn.Dropout(self.dropout, deterministic=not train)(h)
            x = x + normalise(convolution.Conv(x.shape[-1], 3, use_bias=bias, **own)(h))
        for i, strides in reversed(list(enumerate(stages))):
            layer = convolution.ConvTranspose(self.width << i, kernel_sizes(strides), strides, use_bias=bias, **own)
            x = nn.relu(normalise(layer(x)))
        return convolution.Conv(channels, 7, **own, name="output")(x)
