"""Decoder-only transformer over token ids (GPT, Radford et al., 2018), pre-norm, with learned positions.

With `attend="prefix"`, the conditions' tokens come before the sequence (as in DALL-E, Ramesh et al., 2021), and attend
to each other in both directions. With `attend="cross"`, every block has cross-attention to the conditions' tokens
(Vaswani et al., 2017).
"""

from __future__ import annotations

import functools
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Depth, Rate, Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.layers.attention import attend, attend_kept, heads_first
from mmgen_jax.networks.layers.blocks import MLP, embed


class Attention(nn.Module):
    """Multi-head attention in two steps, `remember` and the call, so that a cache can keep keys and values.

    The output for a query that may attend to no key is exactly 0.
    """

    features: int
    num_heads: int
    dtype: Any = jnp.float32

    def setup(self):
        if self.features % self.num_heads:
            raise ConfigError(
                f"generators/transformer: expected features to be a multiple of num_heads {self.num_heads}, got "
                f"{self.features}"
            )
        heads = functools.partial(nn.DenseGeneral, (self.num_heads, self.features // self.num_heads), dtype=self.dtype)
        self.query, self.key, self.value = heads(), heads(), heads()
        self.output = nn.DenseGeneral(self.features, axis=(-2, -1), dtype=self.dtype)

    def remember(self, context: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Keys and values `[B, heads, S, D / heads]` of `context [B, S, E]`."""
        return heads_first(self.key(context)), heads_first(self.value(context))

    def __call__(
        self, x: jax.Array, memory: tuple[jax.Array, jax.Array], allowed: jax.Array, kept: bool = False
    ) -> jax.Array:
        """`x [B, T, D]` attends to the keys and values `memory`; `allowed` broadcasts to `[B, 1, T, S]`.

        `kept`: the memory comes from `keep`.
        """
        y = (attend_kept if kept else attend)(heads_first(self.query(x)), *memory, allowed)
        y = self.output(heads_first(y))
        return jnp.where(jnp.any(allowed, axis=-1)[:, 0, :, None], y, 0)


def keep(memory: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
    """Keys and values of `Attention.remember` in the layout of the cache: `[B, heads, D, S]` and `[B, heads, S, D]`."""
    key, value = memory
    return jnp.swapaxes(key, 2, 3), value


class Block(nn.Module):
    """Pre-norm block: self-attention, with `cross` also cross-attention to the conditions, MLP."""

    features: int
    num_heads: int
    cross: bool
    dropout: float = 0.0
    dtype: Any = jnp.float32

    def setup(self):
        norm = functools.partial(nn.LayerNorm, dtype=self.dtype)
        self.self_norm, self.mlp_norm = norm(), norm()
        self.self_attention = Attention(self.features, self.num_heads, self.dtype)
        if self.cross:
            self.cross_norm = norm()
            self.cross_attention = Attention(self.features, self.num_heads, self.dtype)
        self.mlp = MLP(4 * self.features, dropout=self.dropout, dtype=self.dtype)
        self.drop = nn.Dropout(self.dropout)

    def remember(self, context: jax.Array):
        return self.cross_attention.remember(context)

    def __call__(
        self,
        x,
        allowed,
        past=None,
        position: Any = None,
        context=None,
        context_allowed: Any = None,
        train: bool = False,
    ):
        """Returns the new `x [B, T, D]`, and keys and values.

        Without `past`, the keys and values are those of `x`. With `past`, they are a copy of `past`, in which the keys
        and values of `x` are written from `position` on; `past` and `context` are then from `keep`. `allowed` and
        `context_allowed` as in `Attention`.
        """
        drop = functools.partial(self.drop, deterministic=not train)
        h = self.self_norm(x)
        memory, kept = self.self_attention.remember(h), past is not None
        if past is not None:
            write, (key, value) = jax.lax.dynamic_update_slice_in_dim, keep(memory)
            memory = write(past[0], key, position, axis=3), write(past[1], value, position, axis=2)
        x = x + drop(self.self_attention(h, memory, allowed, kept))
        if context is not None:
            x = x + drop(self.cross_attention(self.cross_norm(x), context, context_allowed, kept))
        return x + drop(self.mlp(self.mlp_norm(x), train)), memory


class Generator(nn.Module):
    """Logits of the next token, see `generators/__init__.py`.

    Args:
      vocab_size: number of ids.
      shape: `(T,)`, the length of the sequence.
      attend: how the conditions enter: `prefix` or `cross`.
    """

    form: ClassVar[str] = "ids"

    vocab_size: int
    shape: tuple[int, ...]
    features: Size = 128
    num_layers: Depth = 4
    num_heads: Size = 4
    dropout: Rate = 0.0
    attend: str = "prefix"
    dtype: Any = jnp.float32

    def setup(self):
        if self.attend not in ("prefix", "cross"):
            raise ConfigError(f"generator.attend: expected prefix or cross, got {self.attend!r}")
        small = nn.initializers.normal(0.02)
        self.embed = nn.Embed(self.vocab_size, self.features, embedding_init=small, dtype=self.dtype)
        self.positions = self.param("positions", small, (self.shape[0], self.features))
        self.condition = nn.Dense(self.features, dtype=self.dtype)
        self.blocks = [
            Block(self.features, self.num_heads, self.attend == "cross", self.dropout, self.dtype)
            for _ in range(self.num_layers)
        ]
        self.drop = nn.Dropout(self.dropout)
        self.norm = nn.LayerNorm(dtype=self.dtype)
        self.head = nn.Dense(self.vocab_size, dtype=self.dtype)

    def __call__(self, tokens: jax.Array, condition: Condition | None, train: bool = False) -> jax.Array:
        """Logits `[B, T, V]` float32 of a sequence, from `tokens [B, T]`, the sequence shifted right by one PADDING."""
        num = tokens.shape[1]
        x = self.drop(self.embed(tokens) + self.positions[:num].astype(self.dtype), deterministic=not train)
        prefix, mask, context, context_allowed = self._conditions(condition, len(tokens))
        x = jnp.concatenate([prefix, x], axis=1)
        before, total = prefix.shape[1], prefix.shape[1] + num
        rows, columns = jnp.arange(total)[:, None], jnp.arange(total)
        keys = jnp.concatenate([mask, jnp.ones(tokens.shape, bool)], axis=1)
        allowed = keys[:, None, None] & ((columns < before) | (columns <= rows))
        x, _ = self._run(x, allowed, context, context_allowed, train=train)
        return self._logits(x[:, before:])

    def init_cache(self, condition: Condition | None, batch_size: int) -> dict[str, Any]:
        """The cache that `step` reads and updates: the conditions, and space for the keys and values of all tokens."""
        prefix, mask, context, context_allowed = self._conditions(condition, batch_size)
        before, total = mask.shape[1], mask.shape[1] + self.shape[0]
        room = jnp.zeros((batch_size, self.num_heads, total, self.features // self.num_heads), self.dtype)
        blocks = [keep((room, room))] * self.num_layers
        context = [keep(memory) for memory in context] if context else None
        if before:  # the prefix does not attend to the sequence, so its keys and values are computed once
            allowed = jnp.pad(mask, ((0, 0), (0, total - before)))[:, None, None]
            _, blocks = self._run(prefix, allowed, None, None, blocks, 0)
        return {"blocks": blocks, "mask": mask, "context": context, "context_allowed": context_allowed}

    def step(self, cache: dict[str, Any], token: jax.Array, position: jax.Array) -> tuple[jax.Array, dict[str, Any]]:
        """Logits `[B, V]` of the token at `position`, from the previous token, `[B]` or `[B, V]`."""
        x = embed(self.embed, token)[:, None] + self.positions[position].astype(self.dtype)
        before = cache["mask"].shape[1]
        past = jnp.broadcast_to(jnp.arange(self.shape[0]) <= position, (len(token), self.shape[0]))
        allowed = jnp.concatenate([cache["mask"], past], axis=1)[:, None, None]
        x, blocks = self._run(
            x, allowed, cache["context"], cache["context_allowed"], cache["blocks"], before + position
        )
        return self._logits(x)[:, 0], cache | {"blocks": blocks}

    def _conditions(self, condition: Condition | None, batch_size: int) -> tuple[jax.Array, jax.Array, Any, Any]:
        """`(prefix [B, P, D], prefix mask, keys and values of the conditions for each block, their mask)`.

        With `prefix` the last two are None; with `cross` P is 0.
        """
        nothing = jnp.zeros((batch_size, 0, self.features), self.dtype), jnp.zeros((batch_size, 0), bool)
        if condition is None or condition.tokens is None:
            return *nothing, None, None
        conditions, mask = self.condition(condition.tokens), condition.mask
        assert mask is not None, "tokens have one"
        if self.attend == "prefix":
            return conditions, mask, None, None
        return *nothing, [block.remember(conditions) for block in self.blocks], mask[:, None, None]

    def _run(self, x, allowed, context, context_allowed, past=None, position=None, train: bool = False):
        kept = []
        for i, block in enumerate(self.blocks):
            x, memory = block(
                x,
                allowed,
                past[i] if past else None,
                position,
                context[i] if context else None,
                context_allowed,
                train=train,
            )
            kept.append(memory)
        return x, kept

    def _logits(self, x: jax.Array) -> jax.Array:
        return self.head(self.norm(x)).astype(jnp.float32)
