"""Convolutional discriminator of texts (Zhang et al., 2016), conditions entering by projection (Miyato & Koyama, 2018).

Words are one-hot, so that a gradient reaches the generator that drew them (Kusner & Hernandez-Lobato, 2016). Departs
from the papers: windows of words are residual layers, one upon another; features are their mean over the text beside
their largest value, for a gradient to every word; the inner product is divided by the square root of its length.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.tokenizer import PADDING
from mmgen_jax.networks.conditioning.tokens import Condition, pooled_of
from mmgen_jax.networks.layers import blocks


class Discriminator(nn.Module):
    """Logits of texts `[B, L, V]`, one-hot rows; of padding nothing is read, however much of it there is.

    Args:
      features: of a word, of a window and of the whole.
      num_layers: of windows; with n of them a feature sees `n * (window - 1) + 1` words.
      window: words that a layer joins, odd.
      dropout: on the words, and on the features of the whole.
    """

    features: int = 128
    num_layers: int = 2
    window: int = 5
    dropout: float = 0.0
    spectral_norm: bool = False
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, target: jax.Array, condition: Condition | None, train: bool = False) -> jax.Array:
        if self.window % 2 == 0:
            raise ConfigError(f"discriminators/sequence: expected an odd window, got {self.window}")
        drop = nn.Dropout(self.dropout, deterministic=not train)

        def dense(x, features=self.features, dtype=self.dtype):
            return blocks.spectral_normalise(nn.Dense(features, dtype=dtype), train, self.spectral_norm)(x)

        words = (1.0 - target[..., PADDING, None]).astype(self.dtype)  # [B, L, 1]
        unit = nn.initializers.normal(1.0)  # of a one-hot row, which has a single 1 whatever its length
        x = nn.Dense(self.features, use_bias=False, kernel_init=unit, dtype=self.dtype, name="embed")(target)
        x = drop(x) * words
        for _ in range(self.num_layers):
            reach = self.window // 2
            padded = jnp.pad(x, ((0, 0), (reach, reach), (0, 0)))
            windows = [padded[:, i : i + x.shape[1]] for i in range(self.window)]
            x = (x + dense(nn.leaky_relu(jnp.concatenate(windows, axis=-1), 0.2))) * words
        x = x.astype(jnp.float32)
        mean = jnp.sum(x, axis=1) / jnp.maximum(jnp.sum(words.astype(jnp.float32), axis=1), 1.0)
        # Not negative, so that the zeros at padding are never the largest.
        x = jnp.concatenate([mean, jnp.max(nn.relu(x), axis=1)], axis=-1)
        x = nn.leaky_relu(dense(drop(x), dtype=jnp.float32), 0.2)
        logits = dense(x, 1, jnp.float32)[:, 0]
        pooled = pooled_of(condition)
        if pooled is None:
            return logits
        vector = dense(pooled.astype(jnp.float32), dtype=jnp.float32)
        return logits + jnp.sum(x * vector, axis=-1) * self.features**-0.5
