"""Projection discriminator (Miyato & Koyama, 2018): `logit = psi(h) + <V pooled, h> / sqrt(F)`, `h [F]` the features.

Departs from the paper: the class embedding is a linear map of the pooled conditions, so any modality can condition the
discriminator; the trunk is that of DCGAN instead of a residual network, and its features are not pooled over space; the
inner product is divided by `sqrt(F)`, as in attention, because at initialisation it would otherwise dominate `psi(h)`.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.discriminators.conv import Trunk
from mmgen_jax.networks.layers import blocks
from mmgen_jax.networks.layers.aligned import join


class Discriminator(nn.Module):
    """Logits `[B]`; fields as in `conv.Discriminator`.

    Where the only conditions are aligned sources, the logit is `psi(h)`.

    Raises:
      ConfigError: there are no conditions.
    """

    width: Size = 64
    max_width: Size = 512
    norm: str = "none"
    spectral_norm: bool = False
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, target: jax.Array, condition: Condition | None, train: bool = False) -> jax.Array:
        if condition is None:
            raise ConfigError("discriminators/projection: needs conditions, got no encoders; use discriminators/conv")
        trunk = Trunk(self.width, self.max_width, self.norm, self.spectral_norm, dtype=self.dtype)
        x = trunk(join(target, condition), train)
        x = x.reshape(len(x), -1).astype(jnp.float32)

        def dense(features, x):
            return blocks.spectral_normalise(nn.Dense(features), train, self.spectral_norm)(x)

        if condition.pooled is None:
            return dense(1, x)[:, 0]
        vector = dense(x.shape[-1], condition.pooled.astype(jnp.float32))
        return dense(1, x)[:, 0] + jnp.sum(x * vector, axis=-1) * x.shape[-1] ** -0.5
