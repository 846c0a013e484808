"""Discriminator of patches (PatchGAN, Isola et al., 2017): a logit for each, from a network that sees no more than it.

`logit = psi(h) + <V pooled, h>` at each cell of the last grid: aligned sources are further channels of the target, as
in the paper; the pooled conditions enter by projection (Miyato & Koyama, 2018), the inner product being divided by the
square root of its length.

Departs from the paper: a normalisation acts on each example alone by default (theirs is of the batch), or spectral
normalisation (Miyato et al., 2018) bounds every layer; borders are padded so that each stage halves exactly.
"""

from __future__ import annotations

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition, pooled_of
from mmgen_jax.networks.layers import blocks, convolution
from mmgen_jax.networks.layers.aligned import join
from mmgen_jax.networks.layers.strides import check_rank, coarse_grid, kernel_sizes, stage_strides


class Discriminator(nn.Module):
    """Logits `[B, *patches]`; the objective takes the mean of the patches' losses.

    Args:
      width: channels after the first convolution, doubling up to `max_width`.
      num_stages: how often the sides are halved (a clip's frames as often as `layers/strides.py` says). A logit sees 16
        cells a side with 1, 34 with 2, 70 with 3.
      norm: of everything but the first convolution and the output.
      init_std: of every convolution's kernel at first, 0.02 in the paper; 0: by the number of inputs.
    """

    width: int = 64
    max_width: int = 512
    num_stages: int = 3
    norm: str = "instance"
    spectral_norm: bool = False
    init_std: float = 0.0
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, target: jax.Array, condition: Condition | None, train: bool = False) -> jax.Array:
        grid = target.shape[1:-1]
        check_rank("discriminators/patch", grid)
        stages = stage_strides(grid, self.num_stages)
        patches = coarse_grid(grid, stages)
        if math.prod(patches) == 1:
            raise ConfigError(
                f"discriminators/patch: {self.num_stages} stages leave a single patch of a grid {grid}; expected a "
                "num_stages that leaves at least 2"
            )

        def conv(x, *args, **fields):
            layer = convolution.Conv(*args, dtype=self.dtype, kernel_init=blocks.kernel_init(self.init_std), **fields)
            return blocks.spectral_normalise(layer, train, self.spectral_norm)(x)

        x = join(target.astype(self.dtype), condition)
        layers = [*((kernel_sizes(strides), strides) for strides in stages), (4, 1)]
        for i, (size, strides) in enumerate(layers):
            bias = not i or self.norm == "none"  # else the normalisation has one
            x = conv(x, min(self.max_width, self.width << i), size, strides, use_bias=bias, name=f"conv_{i}")
            x = nn.leaky_relu(blocks.norm(self.norm, train, self.dtype)(x) if i else x, 0.2)
        logits = conv(x, 1, 4, name="output")[..., 0].astype(jnp.float32)
        pooled = pooled_of(condition)
        if pooled is None:
            return logits
        project = nn.Dense(x.shape[-1], name="condition")
        vector = blocks.spectral_normalise(project, train, self.spectral_norm)(pooled.astype(jnp.float32))
        return logits + jnp.einsum("b...f,bf->b...", x.astype(jnp.float32), vector) * x.shape[-1] ** -0.5
