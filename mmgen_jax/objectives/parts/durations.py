"""Durations of a text's tokens in a sequence of frames: the best monotonic alignment, and frames from durations."""

from __future__ import annotations

import jax
import jax.numpy as jnp

IMPOSSIBLE = -1e9  # score of a path that no alignment takes


def search(scores: jax.Array, tokens: jax.Array) -> jax.Array:
    """Durations `[B, N] int32` in frames of the best monotonic alignment (Kim et al., 2020, "Glow-TTS").

    The alignment begins with the first token and ends with an example's last token. From frame to frame, the
    alignment stays or moves on by one token, so that every token has at least one frame. Of all such alignments, the
    best has the largest sum of scores.

    Args:
      scores: `[B, T, N]`, how well token n suits frame t.
      tokens: `[B]`, the number of an example's own tokens, at most T; 0 gives durations of 0.
    """
    width = scores.shape[2]

    def forward(best, score):  # best [B, N]: of the paths that are at token n after the frame before
        moved = jnp.pad(best, ((0, 0), (1, 0)), constant_values=IMPOSSIBLE)[:, :-1]
        return score + jnp.maximum(best, moved), moved > best

    by_frame = jnp.moveaxis(scores.astype(jnp.float32), 1, 0)
    # Before the first frame, a path is one place before the first token.
    start = jnp.where(jnp.arange(width) == 0, by_frame[0], IMPOSSIBLE)
    _, moves = jax.lax.scan(forward, start, by_frame[1:])  # [T - 1, B, N]: whether frame t moved to its token

    def backward(place, moved):
        before = place - jnp.take_along_axis(moved, place[:, None], axis=1)[:, 0]
        return before, before

    last = jnp.maximum(tokens - 1, 0)
    _, places = jax.lax.scan(backward, last, moves, reverse=True)  # [T - 1, B], of the frames before the last
    places = jnp.concatenate([places, last[None]])
    counts = jax.nn.one_hot(places, width, dtype=jnp.int32).sum(axis=0)
    return counts * (tokens > 0)[:, None]


def assign(durations: jax.Array, length: int) -> jax.Array:
    """`[B, T, N]`, 1 where frame t is of token n, from durations `[B, N]`; frames behind the last have no token."""
    ends = jnp.cumsum(durations, axis=1)[:, None, :]
    frames = jnp.arange(length)[None, :, None]
    return ((frames >= ends - durations[:, None, :]) & (frames < ends)).astype(jnp.float32)


def filled(durations: jax.Array, tokens: jax.Array, length: int) -> jax.Array:
    """Durations `[B, N]`, cut where they exceed `length` frames; the last of an example's `tokens [B]` has the rest."""
    places = jnp.arange(durations.shape[1])
    spoken = jnp.where(places < tokens[:, None] - 1, durations, 0)
    ends = jnp.minimum(jnp.cumsum(spoken, axis=1), length)
    spoken = jnp.diff(ends, axis=1, prepend=0)
    rest = length - ends[:, -1:]
    return jnp.where(places == tokens[:, None] - 1, rest, spoken)
