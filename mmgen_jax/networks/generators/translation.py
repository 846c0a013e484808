"""U-Net from aligned sources to a target on the same grid, from pix2pix (Isola et al., 2017).

Strided convolutions down, transposed ones up, each reading what went down at its grid. Departs from the paper: the grid
is halved until it would be smaller than 4 cells a side, not to a single one; a normalisation acts on each example alone
by default (theirs is of the batch, which is a single image); noise is a latent besides, or instead of, dropout, and
the conditions' pooled vector, where there is one, enters with it.
"""

from __future__ import annotations

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition, pooled_of
from mmgen_jax.networks.layers import blocks, convolution
from mmgen_jax.networks.layers.aligned import at_grid
from mmgen_jax.networks.layers.strides import coarse_grid, kernel_sizes, num_halvings, stage_strides
from mmgen_jax.networks.layers.unet import join_skip

VECTOR_AT = ("bias", "norm", "both")
NUM_DROPPED = 3  # grids with dropout, the coarsest first, as in the paper


def sources_of(condition: Condition | None, grid: tuple[int, ...], name: str) -> jax.Array:
    """The aligned sources as channels `[B, *grid, C]`.

    Raises:
      ConfigError: there are none.
    """
    sources = at_grid(condition, grid)
    if sources is None:
        raise ConfigError(
            f"generators/{name}: starts from aligned sources, got none; name one in config.aligned, e.g. "
            "aligned=('edges',), or use generators/conv"
        )
    return sources


def vector_of(latent: jax.Array | None, condition: Condition | None) -> jax.Array | None:
    """`[latent, pooled conditions]`, as far as they are there; None where nothing is."""
    parts = [part for part in (latent, pooled_of(condition)) if part is not None and part.shape[-1]]
    return jnp.concatenate(parts, axis=-1) if parts else None


class Generator(nn.Module):
    """`latent [B, Z]` or None, and aligned sources, to `[B, *shape]`.

    Args:
      shape: `(T, C)`, `(H, W, C)` or `(T, H, W, C)`.
      width: channels after the first convolution, doubling towards the coarsest grid up to `max_width`.
      norm: `instance`, `layer`, `group`, `batch` or `none`; of everything but the first convolution and the output.
      skips: how the way up reads the way down: `concat`, as in the paper, or `add`.
      vector_at: where latent and pooled conditions enter: as a `bias` of every channel of every cell of the coarsest
        grid; in the `norm`, as scale and shift of every normalisation; or `both`. A latent of length 0 is none.
      dropout: at the coarsest grids of the way up, 0.5 in the paper.
      init_std: of every convolution's kernel at first, 0.02 in the paper; 0: by the number of inputs.
    """

    shape: tuple[int, ...]
    width: int = 64
    max_width: int = 512
    norm: str = "instance"
    skips: str = "concat"
    vector_at: str = "both"
    dropout: float = 0.0
    init_std: float = 0.0
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, latent: jax.Array | None, condition: Condition | None, train: bool = False) -> jax.Array:
        if self.vector_at not in VECTOR_AT:
            raise ConfigError(f"generator.vector_at: expected one of {', '.join(VECTOR_AT)}, got {self.vector_at!r}")
        *grid, channels = self.shape
        x = sources_of(condition, tuple(grid), "translation").astype(self.dtype)
        vector = vector_of(latent, condition)
        # A grid that cannot be halved has one stage that keeps its size.
        stages = stage_strides(grid, num_halvings(grid)) or [(1,) * len(grid)]
        features = [min(self.max_width, self.width << i) for i in range(len(stages))]
        own = {"dtype": self.dtype, "kernel_init": blocks.kernel_init(self.init_std)}
        bias = self.norm == "none"  # else the normalisation has one

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
        # With a single stage no normalisation would read the vector.
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
