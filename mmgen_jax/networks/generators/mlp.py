"""A multilayer perceptron from a latent and the conditions to a vector, or to a short sequence of vectors at once."""

from __future__ import annotations

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition, pooled_of
from mmgen_jax.networks.layers import blocks


class Generator(nn.Module):
    """`[B, Z] -> [B, *shape]`, unbounded; the conditions' pooled vector stands beside the latent.

    Args:
      shape: `(D,)` of a vector, or `(T, C)` of a sequence; `(N, 3)` of a set of points.
      width: of the hidden layers.
      num_layers: hidden layers.
      norm: of the hidden layers.

    Raises:
      ConfigError: another number of axes, or no hidden layer.
    """

    shape: tuple[int, ...]
    width: int = 256
    num_layers: int = 2
    norm: str = "layer"
    dtype: Any = jnp.float32

    def __post_init__(self):
        if len(self.shape) not in (1, 2):
            raise ConfigError(
                f"generators/mlp: draws vectors, expected a shape (D,) or (T, C), got {tuple(self.shape)}; use another "
                "config.generator"
            )
        if self.num_layers < 1:
            raise ConfigError(f"generator.num_layers: expected at least 1, got {self.num_layers}; raise it")
        super().__post_init__()

    @nn.compact
    def __call__(self, latent: jax.Array, condition: Condition | None, train: bool = False) -> jax.Array:
        x = latent
        if (pooled := pooled_of(condition)) is not None:
            x = jnp.concatenate([x, pooled.astype(x.dtype)], axis=-1)
        x = x.astype(self.dtype)
        for _ in range(self.num_layers):
            x = nn.silu(blocks.norm(self.norm, train, self.dtype)(nn.Dense(self.width, dtype=self.dtype)(x)))
        x = nn.Dense(math.prod(self.shape), dtype=self.dtype, name="output")(x)
        return x.reshape(x.shape[0], *self.shape)
