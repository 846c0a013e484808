"""U-Net from aligned sources to a target on the same grid (pix2pix, Isola et al., 2017).

Strided convolutions go down to the coarsest grid, transposed convolutions go up, and skip connections join the two at
each grid.

Departs from the paper: the coarsest grid has at least 4 cells a side, instead of a single cell; instance normalisation
by default instead of batch normalisation (for the paper's batches of one image, both are the same function); the noise
is a latent vector, in addition to dropout or instead of dropout; the pooled conditions, if any, enter with the latent.
"""

from __future__ import annotations

import math
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import NotNegative, Rate, Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition, pooled_of
from mmgen_jax.networks.layers import blocks, convolution
from mmgen_jax.networks.layers.aligned import at_grid
from mmgen_jax.networks.layers.strides import SMALLEST, coarse_grid, kernel_sizes, num_halvings, sides, stage_strides
from mmgen_jax.networks.layers.unet import join_skip

VECTOR_AT = ("bias", "norm", "both")
NUM_DROPPED = 3  # grids with dropout, the coarsest first, as in the paper


def sources_of(condition: Condition | None, grid: tuple[int, ...], name: str) -> jax.Array:
    """The aligned sources as channels `[B, *grid, C]`; `name` is the generator's, for the message.

    Raises:
      ConfigError: there are no aligned sources.
    """
    sources = at_grid(condition, grid)
    if sources is None:
        raise ConfigError(
            f"generators/{name}: starts from aligned sources, got none; name one in config.aligned, e.g. "
            "aligned=('edges',), or use generators/conv"
        )
    return sources


def vector_of(latent: jax.Array | None, condition: Condition | None) -> jax.Array | None:
    """The concatenation `[B, Z + D]` of latent and pooled conditions, or the only given one; None without both."""
    parts = [part for part in (latent, pooled_of(condition)) if part is not None and part.shape[-1]]
    return jnp.concatenate(parts, axis=-1) if parts else None


class Generator(nn.Module):
    """`latent [B, Z]` or None, and aligned sources, to `[B, *shape]`, unbounded.

    Args:
      shape: `(T, C)`, `(H, W, C)` or `(T, H, W, C)`.
      width: channels after the first convolution; each coarser grid has twice as many, up to `max_width`.
      norm: `instance`, `layer`, `group`, `batch` or `none`, of every layer except the first convolution and the output.
      skips: how a skip connection joins: `concat`, as in the paper, or `add`.
      vector_at: where the latent and the pooled conditions enter: `bias`, added to every channel of every cell of the
        coarsest grid; `norm`, as scale and shift of every normalisation; or `both`. Z = 0 is the same as None.
      dropout: rate at the 3 coarsest grids on the way up, 0.5 in the paper.
      init_std: standard deviation of every kernel's initial values, 0.02 in the paper; 0: LeCun initialisation.

    Raises:
      ConfigError: there are no aligned sources, a side of at least 8 cannot be halved, or `vector_at` or `skips` is
        unknown.
    """

    form: ClassVar[str] = "latent"

    shape: tuple[int, ...]
    width: Size = 64
    max_width: Size = 512
    norm: str = "instance"
    skips: str = "concat"
    vector_at: str = "both"
    dropout: Rate = 0.0
    init_std: NotNegative = 0.0
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, latent: jax.Array | None, condition: Condition | None, train: bool = False) -> jax.Array:
        if self.vector_at not in VECTOR_AT:
            raise ConfigError(f"generator.vector_at: expected one of {', '.join(VECTOR_AT)}, got {self.vector_at!r}")
        *grid, channels = self.shape
        x = sources_of(condition, tuple(grid), "translation").astype(self.dtype)
        vector = vector_of(latent, condition)
        if not num_halvings(grid) and min(sides(grid)) >= 2 * SMALLEST:
            raise ConfigError(
                f"generators/translation: cannot halve the sides of {tuple(grid)}; choose even sides, best with many "
                "factors of 2, such as 64"
            )
        # A grid that is too small to be halved gets a single stage with stride 1.
        stages = stage_strides(grid, num_halvings(grid)) or [(1,) * len(grid)]
        features = [min(self.max_width, self.width << i) for i in range(len(stages))]
        own = {"dtype": self.dtype, "kernel_init": blocks.kernel_init(self.init_std)}
        bias = self.norm == "none"  # a normalisation has its own bias

        def normalise(x):
            if vector is None or self.vector_at == "bias":
                return blocks.norm(self.norm, train, self.dtype)(x)
            return blocks.ConditionalNorm(self.norm, self.dtype)(x, vector, train)

        skips = []
        for i, (size, strides) in enumerate(zip(features, stages)):
            x = convolution.Conv(size, kernel_sizes(strides), strides, use_bias=bias or not i, **own)(x)
            x = nn.leaky_relu(normalise(x) if i else x, 0.2)
            skips.append(x)
        x = skips.pop()
        # With a single stage there is no normalisation that could read the vector.
        if vector is not None and (self.vector_at != "norm" or len(stages) == 1):
            low = coarse_grid(grid, stages)
            cells = nn.Dense(math.prod(low) * features[-1], dtype=self.dtype, name="vector")(vector)
            x = x + cells.reshape(-1, *low, features[-1])
        for depth, (size, strides) in enumerate(zip(features[-2::-1], stages[:0:-1])):
            x = convolution.ConvTranspose(size, kernel_sizes(strides), strides, use_bias=bias, **own)(x)
            x = normalise(x)
            if depth < NUM_DROPPED:
                x = nn.Dropout(self.dropout, deterministic=not train)(x)
            x = nn.relu(join_skip(x, skips.pop(), self.skips))
        output = convolution.ConvTranspose(channels, kernel_sizes(stages[0]), stages[0], **own, name="output")
        return output(x)
