"""A smooth completion of holes on the device, from a coarse grid to the finest (pull-push, Gortler et al., 1996)."""

from __future__ import annotations

import jax
import jax.numpy as jnp

SWEEPS = 8


def filled(x: jax.Array, hole: jax.Array, sweeps: int = SWEEPS) -> jax.Array:
    """`x [B, *grid, C]` with the hole filled; known values stay as they are, and values in the hole are not read.

    The known values are average-pooled by 2 along each axis until a side is odd. The hole of the coarsest grid starts
    from the mean of the known values, the hole of each finer grid from the linear enlargement of the coarser grid. At
    each grid, `sweeps` times, the values in the hole become the mean of their neighbours: this approaches harmonic
    completion, the solution of Laplace's equation.

    Args:
      hole: `[B, *grid, 1]`, above 0 where a value is to be filled. An example without a known value is filled with 0.
    """
    weight = (hole <= 0).astype(x.dtype)
    return jnp.where(hole > 0, _solved(jnp.where(hole > 0, 0, x), weight, sweeps), x)


def _solved(total: jax.Array, weight: jax.Array, sweeps: int) -> jax.Array:
    """The value of every cell, from `total` (the sum of its known values) and `weight` (the known share of it)."""
    axes = tuple(range(1, total.ndim - 1))
    known = total / jnp.maximum(weight, 1e-6)
    if any(total.shape[axis] % 2 for axis in axes):
        mean = total.sum(axes, keepdims=True) / jnp.maximum(weight.sum(axes, keepdims=True), 1e-6)
        values = jnp.broadcast_to(mean, total.shape)
    else:
        coarse = _solved(_pooled(total), _pooled(weight), sweeps)
        values = jax.image.resize(coarse, total.shape, "linear")
    for _ in range(sweeps):
        values = weight * known + (1 - weight) * _neighbours(values)
    return values


def _pooled(x: jax.Array) -> jax.Array:
    """The mean of every cell of two positions along each axis."""
    for axis in range(1, x.ndim - 1):
        x = x.reshape(*x.shape[:axis], x.shape[axis] // 2, 2, *x.shape[axis + 1 :]).mean(axis + 1)
    return x


def _neighbours(x: jax.Array) -> jax.Array:
    """The mean of the two neighbours along every axis; at the border, a position is its own neighbour."""
    total = jnp.zeros_like(x)
    for axis in range(1, x.ndim - 1):
        size = x.shape[axis]
        first, last = (jax.lax.slice_in_dim(x, i, i + 1, axis=axis) for i in (0, size - 1))
        total += jnp.concatenate([first, jax.lax.slice_in_dim(x, 0, size - 1, axis=axis)], axis)
        total += jnp.concatenate([jax.lax.slice_in_dim(x, 1, size, axis=axis), last], axis)
    return total / (2 * (x.ndim - 2))
