"""LSTM over token ids that attends to the conditions at every step (Show, Attend and Tell, Xu et al., 2015).

The attention is the paper's deterministic ("soft") attention, with its gate and the deep output.

Departs from the paper: no doubly stochastic penalty on the attention; the initial state is computed from the pooled
conditions, not from the mean of their tokens.
"""

from __future__ import annotations

from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Rate, Size
from mmgen_jax.networks.conditioning.tokens import Condition, masked_softmax, pooled
from mmgen_jax.networks.layers import blocks


class Cell(nn.Module):
    """One step: attention with the old state as query, then the LSTM.

    Returns `(state, [new hidden state, attended vector])`; the attended vector has length 0 without conditions.
    """

    features: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, state, word, memory):
        """`word [B, D]`; `memory` is None or `(values [B, N, E], keys [B, N, D], mask [B, N])` of the conditions."""
        seen = jnp.zeros((len(word), 0), self.dtype)
        if memory is not None:
            values, keys, mask = memory
            hidden = state[1].astype(self.dtype)
            match = jnp.tanh(
                keys + nn.Dense(self.features, use_bias=False, dtype=self.dtype, name="query")(hidden)[:, None]
            )
            weights = masked_softmax(nn.Dense(1, dtype=self.dtype, name="match")(match)[..., 0], mask)
            gate = nn.sigmoid(nn.Dense(1, dtype=self.dtype, name="gate")(hidden))
            seen = gate * jnp.einsum("bn,bne->be", weights, values)
        lstm = nn.OptimizedLSTMCell(self.features, dtype=self.dtype, name="lstm")
        state, hidden = lstm(state, jnp.concatenate([word, seen], axis=-1))
        return state, jnp.concatenate([hidden.astype(self.dtype), seen], axis=-1)


class Generator(nn.Module):
    """Logits of the next token, see `generators/__init__.py`.

    Args:
      vocab_size: number of ids.
      features: length of the vectors of the LSTM's state, the words and the attention.
      dropout: on the words, and before the output layer.
    """

    form: ClassVar[str] = "ids"

    vocab_size: int
    features: Size = 128
    dropout: Rate = 0.0
    dtype: Any = jnp.float32

    def setup(self):
        self.embed = nn.Embed(self.vocab_size, self.features, dtype=self.dtype)
        self.first_state, self.key = nn.Dense(2 * self.features), nn.Dense(self.features, dtype=self.dtype)
        self.cell = Cell(self.features, self.dtype)
        self.drop = nn.Dropout(self.dropout)
        self.word, self.seen = (nn.Dense(self.features, dtype=self.dtype) for _ in range(2))
        self.head = nn.Dense(self.vocab_size, dtype=self.dtype)

    def __call__(self, tokens: jax.Array, condition: Condition | None, train: bool = False) -> jax.Array:
        """Logits `[B, T, V]` float32 of a sequence, from `tokens [B, T]`, the sequence shifted right by one PADDING."""
        words = self.drop(self.embed(tokens), deterministic=not train)
        cache = self.init_cache(condition, len(tokens))
        scan = nn.scan(
            lambda cell, state, word, memory: cell(state, word, memory),
            variable_broadcast="params",
            split_rngs={"params": False},
            in_axes=(1, nn.broadcast),  # pyright: ignore[reportArgumentType] Flax takes one for each argument too
            out_axes=1,
        )
        _, output = scan(self.cell, cache["state"], words, cache["memory"])
        return self._logits(words, output, train)

    def init_cache(self, condition: Condition | None, batch_size: int) -> dict[str, Any]:
        """The cache that `step` reads and updates: the LSTM's state, and the conditions with their attention keys."""
        if condition is None or condition.tokens is None:
            return {"state": (jnp.zeros((batch_size, self.features)),) * 2, "memory": None}
        cell, hidden = jnp.split(self.first_state(pooled(condition).astype(jnp.float32)), 2, axis=-1)
        values = condition.tokens.astype(self.dtype)
        return {"state": (cell, jnp.tanh(hidden)), "memory": (values, self.key(values), condition.mask)}

    def step(self, cache: dict[str, Any], token: jax.Array, position: jax.Array) -> tuple[jax.Array, dict[str, Any]]:
        """Logits `[B, V]` of the next token, from the previous token, `[B]` or `[B, V]`; `position` is not used."""
        word = blocks.embed(self.embed, token)
        state, output = self.cell(cache["state"], word, cache["memory"])
        return self._logits(word, output), cache | {"state": state}

    def _logits(self, words: jax.Array, output: jax.Array, train: bool = False) -> jax.Array:
        hidden = self.drop(nn.tanh(self.word(words) + self.seen(output)), deterministic=not train)
        return self.head(hidden).astype(jnp.float32)
