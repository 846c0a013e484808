"""Convolutional discriminator of texts (Zhang et al., 2016), conditioned by projection (Miyato & Koyama, 2018).

Words are one-hot rows, so that a gradient reaches the generator that drew the words (Kusner & Hernandez-Lobato, 2016).

Departs from the papers: the convolutions over windows of words are a stack of residual layers; mean pooling over the
text is concatenated with max pooling, so that every word gets a gradient; the inner product of the projection is
divided by the square root of the vectors' length.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Depth, Rate, Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.tokenizer import PADDING
from mmgen_jax.networks.conditioning.tokens import Condition, pooled_of
from mmgen_jax.networks.layers import blocks


class Discriminator(nn.Module):
    """Logits `[B]` of texts `[B, L, V]` of one-hot rows; they do not depend on the number of padding rows.

    Args:
      features: length of the vectors of words, of windows and of the whole text.
      num_layers: number of convolutions; n convolutions see `n * (window - 1) + 1` words.
      window: kernel size of each convolution in words, odd.
      dropout: on the words' vectors, and on the pooled features.
    """

    features: Size = 128
    num_layers: Depth = 2
    window: Size = 5
    dropout: Rate = 0.0
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
        unit = nn.initializers.normal(1.0)  # a one-hot row has a single 1, so the vocabulary's size does not matter
        x = nn.Dense(self.features, use_bias=False, kernel_init=unit, dtype=self.dtype, name="embed")(target)
        x = drop(x) * words
        for _ in range(self.num_layers):
            reach = self.window // 2
            padded = jnp.pad(x, ((0, 0), (reach, reach), (0, 0)))
            windows = [padded[:, i : i + x.shape[1]] for i in range(self.window)]
            x = (x + dense(nn.leaky_relu(jnp.concatenate(windows, axis=-1), 0.2))) * words
        x = x.astype(jnp.float32)
        mean = jnp.sum(x, axis=1) / jnp.maximum(jnp.sum(words.astype(jnp.float32), axis=1), 1.0)
        # relu first: the zeros at padding are then never larger than a word's features.
        x = jnp.concatenate([mean, jnp.max(nn.relu(x), axis=1)], axis=-1)
        x = nn.leaky_relu(dense(drop(x), dtype=jnp.float32), 0.2)
        logits = dense(x, 1, jnp.float32)[:, 0]
        pooled = pooled_of(condition)
        if pooled is None:
            return logits
        vector = dense(pooled.astype(jnp.float32), dtype=jnp.float32)
        return logits + jnp.sum(x * vector, axis=-1) * self.features**-0.5
