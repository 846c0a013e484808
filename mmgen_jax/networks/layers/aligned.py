"""Aligned sources (`Condition.aligned`), resized to a network's own grid."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition


def at_grid(condition: Condition | None, grid: tuple[int, ...], dtype=jnp.float32) -> jax.Array | None:
    """All aligned sources as channels `[B, *grid, C]`, in the order of their names; None without aligned sources."""
    if condition is None or not condition.aligned:
        return None
    return jnp.concatenate(
        [to_grid(source, grid, name) for name, source in sorted(condition.aligned.items())], axis=-1
    ).astype(dtype)


def join(x: jax.Array, condition: Condition | None) -> jax.Array:
    """`x [B, *grid, C]` with the aligned sources, resized to its grid, as further channels."""
    sources = at_grid(condition, x.shape[1:-1], x.dtype)
    return x if sources is None else jnp.concatenate([x, sources], axis=-1)


def to_grid(source: jax.Array, grid: tuple[int, ...], name: str = "source") -> jax.Array:
    """Resizes a source `[B, *own, C]` to `[B, *grid, C]` linearly, with an antialiasing filter where an axis shrinks.

    Three pairs of different ranks fit. For a sequence, each frame of a clip becomes the channels of one step. For an
    image, the frames of a clip become channels, one frame after another. For a clip, an image is repeated for every
    frame.

    Raises:
      ConfigError: the source's grid and `grid` have different ranks and are none of these pairs.
    """
    rank, wanted = source.ndim - 2, len(grid)
    if rank == 3 and wanted == 1:
        source = source.reshape(*source.shape[:2], -1)
    elif rank == 3 and wanted == 2:
        source = jnp.moveaxis(source, 1, -2).reshape(source.shape[0], *source.shape[2:4], -1)
    elif rank == 2 and wanted == 3:
        source = jnp.broadcast_to(source[:, None], (source.shape[0], grid[0], *source.shape[1:]))
    elif rank != wanted:
        raise ConfigError(
            f"config.aligned: {name!r} has a grid of {rank} axes, the network's has {wanted}; read it by an encoder "
            "(config.encoders) instead"
        )
    shape = (source.shape[0], *grid, source.shape[-1])
    return source if source.shape == shape else jax.image.resize(source, shape, "linear")
