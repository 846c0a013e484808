"""Projection discriminator (Miyato & Koyama, 2018): `logit = psi(h) + <V pooled, h>`.

Departs from the paper: the class embedding is a linear map of the fused conditions, so any modality can condition it;
the trunk is the DCGAN one rather than a residual network, and its features are not pooled over space; the inner product
is divided by the square root of its length, as in attention, else it starts at that scale and drowns psi.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.discriminators.conv import Trunk
from mmgen_jax.networks.layers import blocks
from mmgen_jax.networks.layers.aligned import join


class Discriminator(nn.Module):
    """As `conv.Discriminator`, conditions entering by an inner product with the trunk's features.

    Where only aligned sources condition, the logit is psi(h) alone.
    """

    width: int = 64
    max_width: int = 512
    norm: str = "none"
    spectral_norm: bool = False
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, target: jax.Array, condition: Condition | None, train: bool = False) -> jax.Array:
        if condition is None:
            raise ConfigError("discriminators/projection: needs conditions, got no encoders; use 'conv'")
        trunk = Trunk(self.width, self.max_width, self.norm, self.spectral_norm, dtype=self.dtype)
        x = trunk(join(target, condition), train)
        x = x.reshape(len(x), -1).astype(jnp.float32)

        def dense(features, x):
            return blocks.spectral_normalise(nn.Dense(features), train, self.spectral_norm)(x)

        if condition.pooled is None:
            return dense(1, x)[:, 0]
        vector = dense(x.shape[-1], condition.pooled.astype(jnp.float32))
        return dense(1, x)[:, 0] + jnp.sum(x * vector, axis=-1) * x.shape[-1] ** -0.5
