"""Discriminator of sequences, images and clips by strided convolutions (DCGAN, Radford et al., 2016).

The pooled conditions are concatenated to the last features, aligned sources to the channels of the target.

Departs from the paper: no normalisation by default, because batch normalisation makes the logits of a batch depend on
each other; with `spectral_norm` (Miyato et al., 2018), spectral normalisation bounds every layer instead.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import NotNegative, Size
from mmgen_jax.networks.conditioning.tokens import Condition, pooled_of
from mmgen_jax.networks.layers import blocks, convolution
from mmgen_jax.networks.layers.aligned import join
from mmgen_jax.networks.layers.strides import check_rank, kernel_sizes, num_halvings, stage_strides


class Trunk(nn.Module):
    """`[B, *grid, C]` to `[B, *coarsest, F]`: each stage halves the grid and doubles the width, up to `max_width`.

    The stages are those of `generators/conv.py` in reverse (`layers/strides.py`); fields as in `Discriminator`.
    """

    width: int = 64
    max_width: int = 512
    norm: str = "none"
    spectral_norm: bool = False
    init_std: float = 0.0
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        grid = x.shape[1:-1]
        check_rank("discriminators", grid)
        x = x.astype(self.dtype)
        stages = [(kernel_sizes(strides), strides) for strides in stage_strides(grid, num_halvings(grid))]
        for i, (size, strides) in enumerate(stages or [(4, 1)]):
            conv = convolution.Conv(
                min(self.max_width, self.width << i),
                size,
                strides,
                dtype=self.dtype,
                kernel_init=blocks.kernel_init(self.init_std),
                name=f"conv_{i}",
            )
            x = blocks.spectral_normalise(conv, train, self.spectral_norm)(x)
            if i:
                x = blocks.norm(self.norm, train=train, dtype=self.dtype)(x)
            x = nn.leaky_relu(x, 0.2)
        return x


class Discriminator(nn.Module):
    """Logits `[B]` of the trunk's features; one hidden layer joins the features with the pooled conditions, if any.

    Args:
      width: channels after the first convolution.
      hidden: units of the hidden layer.
      init_std: standard deviation of every kernel's initial values, 0.02 in the paper; 0: LeCun initialisation.
    """

    width: Size = 64
    max_width: Size = 512
    norm: str = "none"
    spectral_norm: bool = False
    hidden: Size = 256
    init_std: NotNegative = 0.0
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, target: jax.Array, condition: Condition | None, train: bool = False) -> jax.Array:
        fields = {"init_std": self.init_std, "dtype": self.dtype}
        x = Trunk(self.width, self.max_width, self.norm, self.spectral_norm, **fields)(join(target, condition), train)
        x = x.reshape(len(x), -1).astype(jnp.float32)

        def dense(features, x):
            layer = nn.Dense(features, kernel_init=blocks.kernel_init(self.init_std))
            return blocks.spectral_normalise(layer, train, self.spectral_norm)(x)

        pooled = pooled_of(condition)
        if pooled is not None:
            x = jnp.concatenate([x, pooled.astype(jnp.float32)], axis=-1)
            x = nn.leaky_relu(dense(self.hidden, x), 0.2)
        return dense(1, x)[:, 0]
