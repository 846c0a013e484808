"""Grids cut into blocks and windows, `[B, *grid, C]` of any rank: positions become channels, and channels positions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax


def space_to_depth(x: jax.Array, block: Sequence[int]) -> jax.Array:
    """`[B, H, W, C]` to `[B, H/b, W/b, b*b*C]` for a block `(b, b)`; also for other ranks and unequal sides."""
    rank = len(block)
    x = x.reshape(x.shape[0], *[n for size, b in zip(x.shape[1:], block) for n in (size // b, b)], x.shape[-1])
    x = x.transpose(0, *range(1, 2 * rank, 2), *range(2, 2 * rank + 1, 2), 2 * rank + 1)
    return x.reshape(*x.shape[: rank + 1], -1)


def depth_to_space(x: jax.Array, block: Sequence[int]) -> jax.Array:
    """Inverse of `space_to_depth`."""
    rank = len(block)
    spatial = x.shape[1:-1]
    x = x.reshape(*x.shape[:-1], *block, -1)
    x = x.transpose(0, *[a for i in range(rank) for a in (1 + i, 1 + rank + i)], 2 * rank + 1)
    return x.reshape(x.shape[0], *[n * b for n, b in zip(spatial, block)], -1)


def windows(x: jax.Array, taps: Sequence[int]) -> jax.Array:
    """`[B, H, W, C]` to the windows `[B, H-m+1, W-m+1, m*m*C]` of m x m entries; also for other ranks."""
    if math.prod(taps) == 1:
        return x
    out = [n - m + 1 for n, m in zip(x.shape[1:], taps)]
    cut = [
        x[(slice(None), *[slice(i, i + q) for i, q in zip(start, out)])]
        for start in itertools.product(*map(range, taps))
    ]
    return jnp.concatenate(cut, axis=-1)


def pad(x: jax.Array, pads: Sequence[tuple[int, int]]) -> jax.Array:
    """Pads the spatial axes; negative amounts crop."""
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *[(low, high, 0) for low, high in pads], (0, 0, 0)])
