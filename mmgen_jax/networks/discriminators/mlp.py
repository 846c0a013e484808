"""A multilayer perceptron on a vector or a short sequence of vectors, concatenated with the pooled conditions."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Depth, Size
from mmgen_jax.networks.conditioning.tokens import Condition, pooled_of
from mmgen_jax.networks.layers import blocks


class Discriminator(nn.Module):
    """Logits `[B]` of a target `[B, ...]`, which is flattened.

    Args:
      width: units of each hidden layer.
      num_layers: number of hidden layers.
      spectral_norm: whether every layer is spectrally normalised (Miyato et al., 2018).
    """

    width: Size = 256
    num_layers: Depth = 2
    spectral_norm: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, target: jax.Array, condition: Condition | None, train: bool = False) -> jax.Array:
        x = target.reshape(target.shape[0], -1)
        if (pooled := pooled_of(condition)) is not None:
            x = jnp.concatenate([x, pooled.astype(x.dtype)], axis=-1)

        def dense(features, x, dtype):
            return blocks.spectral_normalise(nn.Dense(features, dtype=dtype), train, self.spectral_norm)(x)

        for _ in range(self.num_layers):
            x = nn.leaky_relu(dense(self.width, x, self.dtype), 0.2)
        return dense(1, x.astype(jnp.float32), jnp.float32)[:, 0]
