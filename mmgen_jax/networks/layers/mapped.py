"""The mapped axis of `pmap`, and reductions over the axis, so that no module needs a field `axis_name`.

The function that `pmap` maps opens `with mapped("data"):` while it is traced (`training/parallel.py`). Outside of such
a block, arrays hold the global batch (the global view), and no function here communicates between devices.
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
    """Sets the mapped axis for the code that is traced inside the block; None is the global view."""
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
    """This device's index on the mapped axis; 0 in the global view."""
    return jax.lax.axis_index(axis()) if axis() else 0


def mean(tree: Any) -> Any:
    """The mean of every leaf over devices."""
    return jax.lax.pmean(tree, axis()) if axis() else tree


def total(tree: Any) -> Any:
    """The sum of every leaf over devices."""
    return jax.lax.psum(tree, axis()) if axis() else tree


def mean_over_batch(x: jax.Array) -> jax.Array:
    """The mean `[...]` of `x [B, ...]` over the global batch."""
    return mean(jnp.mean(x, axis=0))


def gather(x: jax.Array) -> jax.Array:
    """`[B, ...]` of every device, concatenated to `[global B, ...]` in the order of the global batch."""
    return jax.lax.all_gather(x, axis(), tiled=True) if axis() else x


def roll(x: jax.Array) -> jax.Array:
    """`x [B, ...]` shifted by one example in the global batch: example i becomes example i + 1, the last the first."""
    rolled = jnp.roll(x, 1, axis=0)
    if not axis():
        return rolled
    last = jax.lax.ppermute(x[-1:], axis(), [(i, (i + 1) % size()) for i in range(size())])
    return rolled.at[:1].set(last)
