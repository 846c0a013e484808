"""Decoding of whole sequences from a model of the next token: sampling and beam search.

The model is `step(cache, token [B], position) -> (logits [B, V] float32, cache)`; the cache is a tree of arrays
`[B, …]`, and the first token is PADDING. All shapes are static, so that decoding compiles. Where `end` is an id, a
sequence is its tokens, then `end`, then padding, and the last position is always `end` or padding. Where `end` is None,
all positions are tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from mmgen_jax.modalities.tokenizer import PADDING

LOWEST = -1e30  # log-probability of an impossible token: finite, so that a difference of two is not NaN

Step = Callable[[Any, jax.Array, jax.Array], tuple[jax.Array, Any]]


def truncate(logits: jax.Array, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> jax.Array:
    """Logits `[..., V]` of the distribution to draw from; tokens that are left out get `LOWEST`.

    Args:
      temperature: divides the logits; above 0.
      top_k: keeps only the k most probable tokens (Fan et al., 2018); 0 keeps all.
      top_p: keeps only the smallest set of most probable tokens whose probabilities, at this temperature, sum to at
        least `top_p` (nucleus sampling, Holtzman et al., 2020); 1 keeps all.
    """
    logits = logits / temperature
    if not top_k and top_p >= 1:
        return logits
    largest = jnp.sort(logits, axis=-1, descending=True)
    probabilities = jax.nn.softmax(largest, axis=-1)
    before = jnp.cumsum(probabilities, axis=-1) - probabilities  # total probability of all more probable tokens
    kept = (before < top_p) & (jnp.arange(logits.shape[-1]) < (top_k or logits.shape[-1]))
    num_kept = jnp.sum(kept.at[..., 0].set(True), axis=-1, keepdims=True)
    # A threshold in place of the order of the tokens: values are sorted once, indices would be sorted twice.
    last = jnp.take_along_axis(largest, num_kept - 1, axis=-1)
    more, equal = logits > last, logits == last
    room = num_kept - jnp.sum(more, axis=-1, keepdims=True)  # of equally probable tokens, those with the lowest ids
    return jnp.where(more | (equal & (jnp.cumsum(equal, axis=-1) <= room)), logits, LOWEST)


def draw(
    step: Step,
    cache: Any,
    keys: jax.Array,
    length: int,
    end: int | None,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
) -> jax.Array:
    """Sequences `[B, length] int32`, each token drawn from the distribution of `truncate`.

    Args:
      keys: `[B]`, one key per example.
      temperature, top_k, top_p: see `truncate`; temperature 0 takes the most probable token (greedy decoding).
    """

    def pick(logits, position):
        if not temperature:
            return jnp.argmax(logits, axis=-1)
        step_keys = jax.vmap(jax.random.fold_in, (0, None))(keys, position)
        return jax.vmap(jax.random.categorical)(step_keys, truncate(logits, temperature, top_k, top_p))

    def body(carry, position):
        cache, token, done = carry
        logits, cache = step(cache, token, position)
        token = pick(logits, position).astype(jnp.int32)
        if end is not None:
            token = jnp.where(position == length - 1, end, token)
            token = jnp.where(done, PADDING, token)
            done |= token == end
        return (cache, token, done), token

    start = jnp.full(keys.shape[0], PADDING, jnp.int32), jnp.zeros(keys.shape[0], bool)
    return jax.lax.scan(body, (cache, *start), jnp.arange(length))[1].T


def beam_search(
    step: Step, cache: Any, batch_size: int, length: int, end: int | None, beam_size: int, length_penalty: float = 1.0
) -> tuple[jax.Array, jax.Array]:
    """The best sequence that beam search finds, `[B, length] int32`, and its score `[B]`.

    Live beams are ranked by log-probability, ended beams by log-probability / length ** length_penalty, with a length
    that counts END. The score is the quantity that ranks the returned beam.

    Departs from Wu et al., 2016: their penalty is ((5 + length) / 6) ** length_penalty; here no beam stops early.
    """
    cache = jax.tree.map(lambda x: jnp.repeat(x, beam_size, axis=0), cache)  # row b * beam_size + k
    ids = jnp.full((batch_size, beam_size, length), PADDING, jnp.int32)
    lowest = jnp.full((batch_size, beam_size), LOWEST)
    best, chosen = jax.vmap(jax.lax.top_k, (0, None)), jax.vmap(lambda rows, index: rows[index])

    def body(carry, position):
        cache, token, live, live_ids, ended, ended_ids = carry
        logits, cache = step(cache, token.reshape(-1), position)
        log_p = jax.nn.log_softmax(logits).reshape(batch_size, beam_size, -1) + live[..., None]
        if end is not None:
            scores = jnp.concatenate([ended, log_p[..., end] / (position + 1.0) ** length_penalty], axis=1)
            rows = jnp.concatenate([ended_ids, live_ids.at[:, :, position].set(end)], axis=1)
            ended, index = best(scores, beam_size)
            ended_ids = chosen(rows, index)
            log_p = log_p.at[..., end].set(LOWEST)
        live, index = best(log_p.reshape(batch_size, -1), beam_size)
        live = jnp.maximum(live, LOWEST)
        parent, token = jnp.divmod(index, log_p.shape[-1])
        token = token.astype(jnp.int32)
        live_ids = chosen(live_ids, parent).at[:, :, position].set(token)
        flat = (parent + beam_size * jnp.arange(batch_size)[:, None]).reshape(-1)
        cache = jax.tree.map(lambda x: x[flat], cache)
        return (cache, token, live, live_ids, ended, ended_ids), None

    # The search starts with one live beam, because all beams would be equal before the first token.
    live = lowest.at[:, 0].set(0.0)
    carry = cache, jnp.full((batch_size, beam_size), PADDING, jnp.int32), live, ids, lowest, ids
    (_, _, live, live_ids, ended, ended_ids), _ = jax.lax.scan(body, carry, jnp.arange(length))
    score, rows = (live, live_ids) if end is None else (ended, ended_ids)
    return rows[:, 0], score[:, 0]
