"""U-Net of gated convolutions, for completion (Yu et al., 2019, Free-Form Image Inpainting with Gated Convolution).

A gated convolution is `elu(a) * sigmoid(b)` of two convolutions. The gates learn which positions are known, so that the
mask-update rule of partial convolutions is not needed.

Departs from the paper: one network in one pass, without the coarse first network and without contextual attention; more
halvings instead of dilated convolutions; skip connections; the output may be added to a smooth completion, which then
also takes the place of the picture with its hole as input.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Depth, Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.generators.translation import sources_of, vector_of
from mmgen_jax.networks.layers import blocks, convolution, fill
from mmgen_jax.networks.layers.strides import sides, stage_strides


class GatedConv(nn.Module):
    """`[B, *grid, C]` to `[B, *grid / strides, features]`; a vector `[B, D]` scales and shifts before the gate."""

    features: int
    kernel_size: int = 3
    strides: int | tuple[int, ...] = 1
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, vector: jax.Array | None = None) -> jax.Array:
        x = convolution.Conv(2 * self.features, self.kernel_size, self.strides, dtype=self.dtype)(x)
        values, gates = jnp.split(x, 2, axis=-1)
        if vector is not None:
            small = nn.initializers.normal(0.02)
            modulation = nn.Dense(2 * self.features, dtype=self.dtype, kernel_init=small)(vector)
            values = blocks.film(values, *jnp.split(modulation, 2, axis=-1))
        return nn.elu(values) * nn.sigmoid(gates)


class Generator(nn.Module):
    """`latent [B, Z]` or None, and aligned sources (the picture with its hole, the mask), to `[B, *shape]`, unbounded.

    Args:
      shape: `(H, W, C)`; sequences and clips work as well.
      width: channels at the finest grid; each coarser grid has twice as many, up to `max_width`.
      num_halvings: how often the grid is halved; a cell of the coarsest grid sees at least `2 ** num_halvings` pixels
        in each direction.
      num_middle: convolutions at the coarsest grid.
      known, hole: the aligned sources whose harmonic completion (`layers/fill.py`) the output is added to; use
        `objective.output="linear"`. "" and "" add the output to nothing.

    Raises:
      ConfigError: there are no aligned sources, a grid that cannot be halved so often, or a `known` or `hole` that is
        no aligned source or does not fit the target.
    """

    form: ClassVar[str] = "latent"

    shape: tuple[int, ...]
    width: Size = 24
    max_width: Size = 128
    num_halvings: Depth = 4
    num_middle: Depth = 2
    known: str = ""
    hole: str = ""
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, latent: jax.Array | None, condition: Condition | None, train: bool = False) -> jax.Array:
        *grid, channels = self.shape
        if any(side % (1 << self.num_halvings) for side in sides(grid)):
            raise ConfigError(
                f"generators/gated: cannot halve the sides of {tuple(grid)} {self.num_halvings} times; lower "
                f"num_halvings or choose sides that are multiples of {1 << self.num_halvings}"
            )
        condition, smooth = self._completed(condition)
        x = sources_of(condition, tuple(grid), "gated").astype(self.dtype)
        vector = vector_of(latent, condition)

        def conv(features, x, strides: int | tuple[int, ...] = 1, kernel_size=3):
            return GatedConv(min(features, self.max_width), kernel_size, strides, self.dtype)(x, vector)

        x = conv(self.width, x, kernel_size=5)
        skips, stages = [], stage_strides(grid, self.num_halvings)
        for level, strides in enumerate(stages, 1):
            skips.append(x)
            x = conv(self.width << level, x, strides)
        for _ in range(self.num_middle):
            x = conv(self.width << len(stages), x)
        for level, strides in reversed(list(enumerate(stages))):
            # A 1 x 1 convolution and upsampling by repetition commute; in this order the convolution has fewer cells.
            x = blocks.upsample(convolution.Conv(max(x.shape[-1] // 2, 1), 1, dtype=self.dtype)(x), strides)
            x = conv(self.width << level, jnp.concatenate([x, skips.pop()], axis=-1))
        output = convolution.Conv(channels, 3, dtype=self.dtype, name="output")(x)
        return output if smooth is None else smooth + output.astype(smooth.dtype)

    def _completed(self, condition: Condition | None) -> tuple[Condition | None, jax.Array | None]:
        """The condition with the hole of its source `known` filled, and this source; or `(condition, None)`."""
        if condition is None or not (self.known or self.hole):
            return condition, None
        aligned = condition.aligned
        for field in ("known", "hole"):
            if getattr(self, field) not in aligned:
                raise ConfigError(
                    f"generators/gated.{field}: expected an aligned source ({', '.join(aligned) or 'none'}), got "
                    f"{getattr(self, field)!r}"
                )
        if aligned[self.known].shape[1:] != self.shape:
            raise ConfigError(
                f"generators/gated.known: expected a source like the target, {self.shape}, got {self.known!r} with "
                f"{aligned[self.known].shape[1:]}"
            )
        smooth = fill.filled(aligned[self.known], aligned[self.hole])
        return dataclasses.replace(condition, aligned={**aligned, self.known: smooth}), smooth
