"""Transposed-convolution generator of sequences, images and clips, from DCGAN (Radford et al., 2016).

Departs from the paper: the width halves with each doubling from `width * 2**(doublings - 1)`, capped at `max_width`, so
that one definition fits every size; conditions enter by concatenation to the latent, as scale and shift of every
normalisation (as in SNGAN's and BigGAN's generators), or both. Aligned sources join the channels before every
convolution, so that the finest detail that is seen of them is two cells wide (`translation` sees them as they are).
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
from mmgen_jax.networks.layers.strides import check_rank, coarse_grid, kernel_sizes, num_halvings, stage_strides


class Generator(nn.Module):
    """`[B, Z] -> [B, *shape]`.

    Args:
      shape: `(T, C)`, `(H, W, C)` or `(T, H, W, C)`. The grid is doubled to it from the coarsest one, by
        `layers/strides.py`: 28 x 28 from 7 x 7, 10 x 28 x 28 from 5 x 7 x 7.
      width: channels before the output convolution.
      norm: `batch`, `group`, `layer`, `instance` or `none`.
      conditions_at: where they enter: the `input`, beside the latent; the `norm`, as scale and shift of every
        normalisation; or `both`.
      batch_conditions: whether the conditions are normalised over the batch first. A GAN needs it: what the conditions
        of all examples share otherwise grows faster than any bias, and one picture is drawn whatever the latent. A VAE
        does better without: the noise of batch statistics makes its latent repeat what the conditions say.
      input_bias: whether the first layer has a bias, one for each channel of each cell of the coarsest grid. No
        normalisation cancels it, and a GAN may let it grow until one picture is drawn whatever the latent.
      init_std: of the first layer's and every convolution's kernel at first, 0.02 in the paper; 0: by the number of
        inputs. Under a normalisation a kernel learns the faster the smaller it is, so that this is a learning rate of
        each layer's own.
    """

    shape: tuple[int, ...]
    width: int = 64
    max_width: int = 512
    norm: str = "batch"
    conditions_at: str = "input"
    batch_conditions: bool = False
    input_bias: bool = True
    init_std: float = 0.0
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

        # Channels at each size but the last: `width` before the output, doubling towards the coarsest.
        features = [min(self.max_width, self.width << i) for i in reversed(range(max(len(stages), 1)))]
        own = {"dtype": self.dtype, "kernel_init": blocks.kernel_init(self.init_std)}

        def double(x, size, strides, name=None):
            layer = convolution.ConvTranspose(size, kernel_sizes(strides), strides, **own, name=name)
            return layer(join(x, condition))

        first = nn.Dense(math.prod(low) * features[0], use_bias=self.input_bias, **own)
        x = first(x.astype(self.dtype))
        x = nn.relu(normalise(x.reshape(-1, *low, features[0])))
        for size, strides in zip(features[1:], reversed(stages)):
            x = nn.relu(normalise(double(x, size, strides)))
        if not stages:
            return convolution.Conv(channels, kernel_size=3, **own, name="output")(join(x, condition))
        return double(x, channels, stages[0], name="output")
