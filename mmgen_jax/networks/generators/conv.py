"""Generator of sequences, images and clips by transposed convolutions (DCGAN, Radford et al., 2016).

Departs from the paper: the number of channels at the coarsest grid follows from the target's size, and each stage
halves it down to `width`; the pooled conditions are concatenated to the latent, or give every normalisation its scale
and shift (as in the generators of SNGAN and BigGAN), or both; aligned sources are further channels of the input of
every convolution. The last convolution reads the sources at half the target's resolution (`translation` reads the full
resolution).
"""

from __future__ import annotations

import math
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import NotNegative, Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition, not_empty, pooled_of
from mmgen_jax.networks.layers import blocks, convolution
from mmgen_jax.networks.layers.aligned import join
from mmgen_jax.networks.layers.strides import check_rank, coarse_grid, kernel_sizes, num_halvings, stage_strides


class Generator(nn.Module):
    """`[B, Z] -> [B, *shape]`, unbounded.

    Args:
      shape: `(T, C)`, `(H, W, C)` or `(T, H, W, C)`. The stages of `layers/strides.py` double the coarsest grid to this
        shape: 7 x 7 to 28 x 28, 5 x 7 x 7 to 10 x 28 x 28.
      width: channels before the output convolution.
      max_width: largest number of channels at the coarser grids.
      norm: `batch`, `group`, `layer`, `instance` or `none`.
      conditions_at: where the pooled conditions enter: at the `input`, concatenated to the latent; at the `norm`, as
        scale and shift of every normalisation; or at `both`.
      batch_conditions: whether the pooled conditions first pass a BatchNorm without scale and shift. A GAN needs
        `batch_conditions`: otherwise the mean of the conditions outgrows the biases, and mode collapse follows. A VAE
        is better without: the batch statistics are noisy, and the latent then learns the conditions.
      input_bias: whether the first layer has a bias, one for each channel of each cell of the coarsest grid. No
        normalisation cancels this bias. In a GAN the bias may grow until mode collapse occurs.
      init_std: standard deviation of the initial kernels of the first layer and all convolutions, 0.02 in the paper; 0:
        LeCun initialisation. Before a normalisation, a small kernel learns faster than a large kernel. `init_std`
        therefore acts like a learning rate of each layer.

    Raises:
      ConfigError: an unknown `conditions_at`, or a shape of another rank.
    """

    form: ClassVar[str] = "latent"

    shape: tuple[int, ...]
    width: Size = 64
    max_width: Size = 512
    norm: str = "batch"
    conditions_at: str = "input"
    batch_conditions: bool = False
    input_bias: bool = True
    init_std: NotNegative = 0.0
    dtype: jnp.dtype = jnp.float32

    def __post_init__(self):
        check_rank("generators/conv", self.shape[:-1])
        super().__post_init__()

    @nn.compact
    def __call__(self, latent: jax.Array, condition: Condition | None, train: bool = False) -> jax.Array:
        *grid, channels = self.shape
        stages = stage_strides(grid, num_halvings(grid))
        low = coarse_grid(grid, stages)
        if self.conditions_at not in ("input", "norm", "both"):
            raise ConfigError(f"generator.conditions_at: expected input, norm or both, got {self.conditions_at!r}")
        x, vector = latent, None
        pooled = pooled_of(condition)
        if pooled is not None:
            pooled = pooled.astype(jnp.float32)
            if self.batch_conditions:
                pooled = blocks.norm("batch", train, affine=False)(pooled)
            joined = jnp.concatenate([latent, pooled], axis=-1)
            x = latent if self.conditions_at == "norm" else joined
            vector = {"input": None, "norm": pooled, "both": pooled}[self.conditions_at]

        def normalise(x):
            if vector is None:
                return blocks.norm(self.norm, train=train, dtype=self.dtype)(x)
            return blocks.ConditionalNorm(self.norm, self.dtype)(x, vector, train)

        # Channels at each grid but the finest: `width` before the output, twice as many at each coarser grid.
        features = [min(self.max_width, self.width << i) for i in reversed(range(max(len(stages), 1)))]
        own = {"dtype": self.dtype, "kernel_init": blocks.kernel_init(self.init_std)}

        def double(x, size, strides, name=None):
            layer = convolution.ConvTranspose(size, kernel_sizes(strides), strides, **own, name=name)
            return layer(join(x, condition))

        first = nn.Dense(math.prod(low) * features[0], use_bias=self.input_bias, **own)
        x = first(not_empty(x, "conv").astype(self.dtype))
        x = nn.relu(normalise(x.reshape(-1, *low, features[0])))
        for size, strides in zip(features[1:], reversed(stages)):
            x = nn.relu(normalise(double(x, size, strides)))
        if not stages:
            return convolution.Conv(channels, kernel_size=3, **own, name="output")(join(x, condition))
        return double(x, channels, stages[0], name="output")
