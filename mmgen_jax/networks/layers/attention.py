"""Scaled dot-product attention (Vaswani et al., 2017) of arrays with heads before time.

With `[B, heads, T, D]` every head of an example is one matrix, so the products need no transposition. On the CPU,
`jax.nn.dot_product_attention` transposes its arrays `[B, T, heads, D]`. Other backends use
`jax.nn.dot_product_attention`, which may choose a fused kernel.

A cache of decoding keeps its keys as `[B, heads, D, S]`, the layout of `attend_kept`.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

MASKED = -1e30  # logit of a key that must not be used: finite, so that a row without any key has no NaN


def heads_first(x: jax.Array) -> jax.Array:
    """`[B, T, heads, D]` to `[B, heads, T, D]`, or back."""
    return jnp.swapaxes(x, 1, 2)


def attend(query: jax.Array, key: jax.Array, value: jax.Array, allowed: jax.Array | None = None) -> jax.Array:
    """Values `[B, heads, T, D]` for the queries, in the dtype of `value`; the softmax is float32.

    Args:
      query: `[B, heads, T, D]`.
      key, value: `[B, heads, S, D]`.
      allowed: bool, broadcasts to `[B, heads, T, S]`; False where a query must not use a key. The result of a query
        without any key is the mean of all values. None allows everything.
    """
    if jax.default_backend() != "cpu":
        arrays = (heads_first(x) for x in (query, key, value))
        return heads_first(jax.nn.dot_product_attention(*arrays, mask=allowed))
    query = query * (1 / math.sqrt(query.shape[-1]))
    logits = jnp.einsum("bhtd,bhsd->bhts", query, key, preferred_element_type=jnp.float32)
    if allowed is not None:
        logits = jnp.where(allowed, logits, MASKED)
    return jnp.einsum("bhts,bhsd->bhtd", jax.nn.softmax(logits, axis=-1).astype(value.dtype), value)


def attend_kept(query: jax.Array, key: jax.Array, value: jax.Array, allowed: jax.Array) -> jax.Array:
    """As `attend`, with the keys of a cache, `[B, heads, D, S]`.

    On the CPU, one query per head gives `B · heads` products of a matrix and a vector, too small for separate
    calls. The products are written as sums over an axis before the last axis: whole vectors, for all heads at once.
    """
    if query.shape[2] > 1 or jax.default_backend() != "cpu":
        return attend(query, jnp.swapaxes(key, 2, 3), value, allowed)
    query = jnp.swapaxes(query.astype(jnp.float32), 2, 3) * (1 / math.sqrt(query.shape[-1]))  # [B, heads, D, 1]
    logits = jnp.sum(query * key, axis=2, keepdims=True)  # [B, heads, 1, S]
    weights = jax.nn.softmax(jnp.where(allowed, logits, MASKED), axis=-1)
    return jnp.sum(jnp.swapaxes(weights, 2, 3) * value, axis=2, keepdims=True).astype(value.dtype)
