"""The mapped axis of `pmap`: what averages over the global batch asks here, so that no module needs a field for it.

`with mapped("data"):` is opened inside of the function that `pmap` maps (`training/parallel.py`), while the function is
traced. Outside of the block there is one view of all examples, and every function here is the identity or local.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

_AXIS: contextvars.ContextVar[str | None] = contextvars.ContextVar("mapped_axis", default=None)


@contextlib.contextmanager
def mapped(axis: str | None) -> Iterator[None]:
    """Names the mapped axis for what is traced inside; None: the global view."""
    token = _AXIS.set(axis)
    try:
        yield
    finally:
        _AXIS.reset(token)


def axis() -> str | None:
    """The mapped axis, None in the global view."""
    return _AXIS.get()


def size() -> int:
    """Number of devices on the mapped axis; 1 in the global view."""
    return jax.lax.axis_size(axis()) if axis() else 1


def index() -> jax.Array | int:
    """This device's place on the mapped axis; 0 in the global view."""
    return jax.lax.axis_index(axis()) if axis() else 0


def mean(tree: Any) -> Any:
    """The mean of every leaf over devices."""
    return jax.lax.pmean(tree, axis()) if axis() else tree


def total(tree: Any) -> Any:
    """The sum of every leaf over devices."""
    return jax.lax.psum(tree, axis()) if axis() else tree


def mean_over_batch(x: jax.Array) -> jax.Array:
    """The mean of `[B, ...]` over the global batch."""
    return mean(jnp.mean(x, axis=0))


def gather(x: jax.Array) -> jax.Array:
    """`[B, ...]` of the global batch, in its order."""
    return jax.lax.all_gather(x, axis(), tiled=True) if axis() else x


def roll(x: jax.Array) -> jax.Array:
    """Every example's place taken by the one before it in the global batch, the first's by the last; `[B, ...]`."""
    rolled = jnp.roll(x, 1, axis=0)
    if not axis():
        return rolled
    last = jax.lax.ppermute(x[-1:], axis(), [(i, (i + 1) % size()) for i in range(size())])
    return rolled.at[:1].set(last)
