"""Discriminator of patches (PatchGAN, Isola et al., 2017): each logit judges one patch, its receptive field.

At each cell of the last grid, with features `h`, `logit = psi(h) + <V pooled, h> / sqrt(F)`. The second term is the
projection of the pooled conditions (Miyato & Koyama, 2018), with `F` the length of `h`. Aligned sources are further
channels of the target, as in the paper.

Departs from the paper: the normalisation acts on each example alone by default (the paper's is batch normalisation), or
spectral normalisation (Miyato et al., 2018) bounds every layer; borders are padded so that each stage halves exactly.
"""

from __future__ import annotations

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Depth, NotNegative, Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition, pooled_of
from mmgen_jax.networks.layers import blocks, convolution
from mmgen_jax.networks.layers.aligned import join
from mmgen_jax.networks.layers.strides import check_rank, coarse_grid, kernel_sizes, stage_strides


class Discriminator(nn.Module):
    """Logits `[B, *patches]`; the objective takes the mean of the patches' losses.

    Args:
      width: channels after the first convolution; each stage doubles them, up to `max_width`.
      num_stages: number of stages that halve the sides (a clip's frames are halved as `layers/strides.py` says). The
        receptive field of a logit is 16 cells a side with 1 stage, 34 with 2, 70 with 3.
      norm: normalisation of every layer except the first convolution and the output.
      init_std: standard deviation of every kernel's initial values, 0.02 in the paper; 0: LeCun initialisation.

    Raises:
      ConfigError: the stages leave a single patch, or the grid's rank is not 1 to 3.
    """

    width: Size = 64
    max_width: Size = 512
    num_stages: Depth = 3
    norm: str = "instance"
    spectral_norm: bool = False
    init_std: NotNegative = 0.0
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
            bias = not i or self.norm == "none"  # a normalisation has its own bias
            x = conv(x, min(self.max_width, self.width << i), size, strides, use_bias=bias, name=f"conv_{i}")
            x = nn.leaky_relu(blocks.norm(self.norm, train, self.dtype)(x) if i else x, 0.2)
        logits = conv(x, 1, 4, name="output")[..., 0].astype(jnp.float32)
        pooled = pooled_of(condition)
        if pooled is None:
            return logits
        project = nn.Dense(x.shape[-1], name="condition")
        vector = blocks.spectral_normalise(project, train, self.spectral_norm)(pooled.astype(jnp.float32))
        return logits + jnp.einsum("b...f,bf->b...", x.astype(jnp.float32), vector) * x.shape[-1] ** -0.5
