"""A multilayer perceptron from a latent and the pooled conditions to an array: a vector, a short sequence, an image."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Depth, Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition, not_empty, pooled_of
from mmgen_jax.networks.layers import activations, blocks


class Generator(nn.Module):
    """`[B, Z] -> [B, *shape]`, unbounded; the pooled conditions are concatenated to the latent.

    Args:
      shape: `(D,)` of a vector, `(T, C)` of a sequence, e.g. `(N, 3)` of a set of points, or `(H, W, C)` of an image.
      width: units of each hidden layer.
      num_layers: number of hidden layers.
      norm: normalisation of the hidden layers, a kind of `blocks.norm`.
      activation: of the hidden layers, a name of `layers/activations.py`.

    Raises:
      ConfigError: `shape` has more than 3 axes.
    """

    form: ClassVar[str] = "latent"

    shape: tuple[int, ...]
    width: Size = 256
    num_layers: Depth = 2
    norm: str = "layer"
    activation: str = "silu"
    dtype: Any = jnp.float32

    def __post_init__(self):
        if not 1 <= len(self.shape) <= 3:
            raise ConfigError(
                f"generators/mlp: expected a shape (D,), (T, C) or (H, W, C), got {tuple(self.shape)}; use another "
                "config.generator"
            )
        super().__post_init__()

    @nn.compact
    def __call__(self, latent: jax.Array, condition: Condition | None, train: bool = False) -> jax.Array:
        x = latent
        if (pooled := pooled_of(condition)) is not None:
            x = jnp.concatenate([x, pooled.astype(x.dtype)], axis=-1)
        x = not_empty(x, "mlp").astype(self.dtype)
        activate = activations.find(self.activation)
        for _ in range(self.num_layers):
            x = activate(blocks.norm(self.norm, train, self.dtype)(nn.Dense(self.width, dtype=self.dtype)(x)))
        x = nn.Dense(math.prod(self.shape), dtype=self.dtype, name="output")(x)
        return x.reshape(x.shape[0], *self.shape)
