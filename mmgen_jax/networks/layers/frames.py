"""Frames of a sound at the rate of its samples."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def interpolated(frames: jax.Array, hop_length: int, num: int) -> jax.Array:
    """Frames `[B, T, C]` at the places 0 to num - 1, `[B, num, C]`: frame t lies at place `t hop_length`.

    Linear between two frames, constant behind the last frame. Computed without a gather, whose gradient is slow on
    XLA's CPU backend.
    """
    count = -(-num // hop_length) + 1
    short = max(0, count - frames.shape[1])
    frames = jnp.pad(frames, ((0, 0), (0, short), (0, 0)), mode="edge")[:, :count]
    share = (jnp.arange(hop_length) / hop_length).astype(frames.dtype)[:, None]  # [hop, 1]
    between = (1 - share) * frames[:, :-1, None] + share * frames[:, 1:, None]
    return between.reshape(len(frames), -1, frames.shape[-1])[:, :num]
