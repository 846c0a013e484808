"""Residual network at the source's grid, then one sub-pixel layer (ESPCN, Shi et al., 2016; EDSR, Lim et al., 2017).

The network's output is added to the source: to the bicubic enlargement for super-resolution, to the degraded picture
for denoising and deblurring.

Departs from the papers: one sub-pixel layer for any factor; no skip connection around all blocks; the source enlarged
by the bicubic kernel (a = -0.5) is added to the output; `fold` lets the network work on cells of several pixels (Zhang
et al., 2018, FFDNet), for sources that have the target's grid.
"""

from __future__ import annotations

import math
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Depth, Positive, Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.generators.translation import vector_of
from mmgen_jax.networks.layers import blocks, convolution
from mmgen_jax.networks.layers.aligned import to_grid
from mmgen_jax.networks.layers.patches import depth_to_space, space_to_depth


class Generator(nn.Module):
    """`latent [B, Z]` or None, and aligned sources, to `[B, *shape]`; use `objective.output="linear"`.

    Args:
      shape: `(T, C)`, `(H, W, C)` or `(T, H, W, C)`.
      source: the aligned source to which the output is added. The source has 1 channel or as many as the target; each
        side of the target is the same multiple of the source's side. Other aligned sources are further channels of the
        input.
      width: channels of every block.
      num_blocks: residual blocks of two convolutions.
      fold: side, in pixels of the source, of the cells that the network works on; `fold` divides the source's sides.
      scale: factor of each block's output, 0.1 in EDSR for 256 channels.

    Raises:
      ConfigError: no such source, a target that is no integer multiple of the source, a `fold` that does not divide the
        source's sides, or a source with another number of channels.
    """

    form: ClassVar[str] = "latent"

    shape: tuple[int, ...]
    source: str = "photo"
    width: Size = 64
    num_blocks: Depth = 8
    fold: Size = 1
    scale: Positive = 1.0
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, latent: jax.Array | None, condition: Condition | None, train: bool = False) -> jax.Array:
        *grid, channels = self.shape
        aligned = condition.aligned if condition is not None else {}
        if self.source not in aligned:
            raise ConfigError(
                f"generators/subpixel.source: {self.source!r} is no aligned source; config.aligned has: "
                + (", ".join(aligned) or "none")
            )
        source = aligned[self.source]
        low = source.shape[1:-1]
        factor = grid[0] // low[0]
        if tuple(grid) != tuple(n * factor for n in low) or any(n % self.fold for n in low):
            raise ConfigError(
                f"generators/subpixel: expected a target whose sides are one multiple of the source's, and a fold that "
                f"divides these; got target {tuple(grid)}, source {low}, fold {self.fold}"
            )
        if source.shape[-1] not in (1, channels):
            raise ConfigError(
                f"generators/subpixel.source: is added to the target, so expected 1 channel or {channels}, got "
                f"{self.source!r} with {source.shape[-1]}; choose another source, e.g. by the transform 'grey'"
            )
        others = [to_grid(x, low, name) for name, x in sorted(aligned.items()) if name != self.source]
        x = space_to_depth(jnp.concatenate([source, *others], -1).astype(self.dtype), (self.fold,) * len(low))
        x = convolution.Conv(self.width, 3, dtype=self.dtype, name="input")(x)
        vector = vector_of(latent, condition)
        if vector is not None:
            x = blocks.film(x, *jnp.split(nn.Dense(2 * self.width, dtype=self.dtype, name="vector")(vector), 2, -1))
        for _ in range(self.num_blocks):
            h = nn.relu(convolution.Conv(self.width, 3, dtype=self.dtype)(x))
            x = x + self.scale * convolution.Conv(self.width, 3, dtype=self.dtype)(h)
        # Small initial values: the first output is nearly the enlarged source.
        small = nn.initializers.normal(1e-3)
        side = factor * self.fold
        outputs = channels * math.prod((side,) * len(low))
        x = convolution.Conv(outputs, 3, dtype=self.dtype, kernel_init=small, name="output")(nn.relu(x))
        enlarged = jax.image.resize(source, (source.shape[0], *grid, source.shape[-1]), "cubic")
        return depth_to_space(x, (side,) * len(low)).astype(jnp.float32) + enlarged
