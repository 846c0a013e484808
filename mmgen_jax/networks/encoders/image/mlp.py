"""A multilayer perceptron of all pixels of an image; one token."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.config.ranges import Depth, Size
from mmgen_jax.networks.conditioning.tokens import Tokens
from mmgen_jax.networks.layers import activations, blocks


class Encoder(nn.Module):
    """`[B, H, W, C]` to `[B, 1, features]`.

    Args:
      hidden: units of all dense layers but the last.
      num_layers: number of dense layers.
      norm: normalisation of the hidden layers, a kind of `blocks.norm`.
      activation: of the hidden layers, a name of `layers/activations.py`.
      activate_output: whether the last dense layer also has the activation.
    """

    features: Size = 128
    hidden: Size = 256
    num_layers: Depth = 2
    norm: str = "layer"
    activation: str = "silu"
    activate_output: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, array, mask, train: bool = False) -> Tokens:
        x = array.reshape(array.shape[0], -1).astype(self.dtype)
        activate = activations.find(self.activation)
        for _ in range(self.num_layers - 1):
            x = activate(blocks.norm(self.norm, train, self.dtype)(nn.Dense(self.hidden, dtype=self.dtype)(x)))
        values = nn.Dense(self.features, dtype=self.dtype)(x)[:, None]
        values = activate(values) if self.activate_output else values
        return Tokens(values, mask[:, None])
