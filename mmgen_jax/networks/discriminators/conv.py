"""Strided-convolution discriminator of images, from DCGAN (Radford et al., 2016).

Conditions are concatenated to the final features. Departs from the paper: no normalisation by default, because batch
normalisation ties the logits of a batch together; `spectral_norm` (Miyato et al., 2018) bounds every layer instead.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.generators.conv import coarsest
from mmgen_jax.networks.layers import blocks, convolution


class Trunk(nn.Module):
    """`[B, H, W, C] -> [B, h, w, F]`: halves the size down to the coarsest, doubling the width.

    `init_std` as in `generators/conv.py`.
    """

    width: int = 64
    max_width: int = 512
    norm: str = "none"
    spectral_norm: bool = False
    init_std: float = 0.0
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        halvings = min(coarsest(x.shape[1])[1], coarsest(x.shape[2])[1])
        x = x.astype(self.dtype)
        for i in range(max(halvings, 1)):
            conv = convolution.Conv(
                min(self.max_width, self.width << i),
                kernel_size=4,
                strides=2 if halvings else 1,
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
    """Logits of `[features, pooled conditions]` through one hidden layer, or of the features alone.

    Args:
      width: channels after the first convolution.
      hidden: units of the layer that joins features and conditions.
      init_std: of every kernel at first, 0.02 in the paper; 0: by the number of inputs.
    """

    width: int = 64
    max_width: int = 512
    norm: str = "none"
    spectral_norm: bool = False
    hidden: int = 256
    init_std: float = 0.0
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, target: jax.Array, condition: Condition | None, train: bool = False) -> jax.Array:
        fields = {"init_std": self.init_std, "dtype": self.dtype}
        x = Trunk(self.width, self.max_width, self.norm, self.spectral_norm, **fields)(target, train)
        x = x.reshape(len(x), -1).astype(jnp.float32)

        def dense(features, x):
            layer = nn.Dense(features, kernel_init=blocks.kernel_init(self.init_std))
            return blocks.spectral_normalise(layer, train, self.spectral_norm)(x)

        if condition is not None:
            x = jnp.concatenate([x, condition.pooled.astype(jnp.float32)], axis=-1)
            x = nn.leaky_relu(dense(self.hidden, x), 0.2)
        return dense(1, x)[:, 0]
