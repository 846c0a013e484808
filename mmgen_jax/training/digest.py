"""A digest of an array that shows damage: the same on every layout of devices, on the host and on the devices.

The digest of bits b_0, b_1, … (unsigned integers of the width of the dtype, 64 bits as two of 32) is the sum of
(2 i + 1) b_i modulo 2^32. The factors are odd, and therefore invertible: a change of any one element changes the sum,
and random changes of several elements leave it as it was once in 2^32 times.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

BLOCK = 1 << 16
_FACTORS = 2 * np.arange(BLOCK, dtype=np.uint32) + 1


def of(leaves: Mapping[str, jax.Array]) -> dict[str, int]:
    """The digest of each array, in [0, 2^32).

    The sum is taken where the arrays are: on accelerators, and on CPU of one process by NumPy, which compiles nothing.
    """
    if all(leaf.is_fully_addressable and next(iter(leaf.devices())).platform == "cpu" for leaf in leaves.values()):
        return {name: on_host(np.asarray(leaf)) for name, leaf in leaves.items()}
    sums = jax.jit(lambda tree: jax.tree.map(on_devices, tree))(dict(leaves))
    return {name: int(value) for name, value in jax.device_get(sums).items()}


def on_host(array: np.ndarray) -> int:
    """The digest of `[...]`, any dtype."""
    bits = np.ascontiguousarray(array).reshape(-1).view(f"u{min(array.dtype.itemsize, 4)}")
    total = 0
    for start in range(0, len(bits), BLOCK):
        block = bits[start : start + BLOCK].astype(np.uint32)
        total += int(np.dot(block, _FACTORS[: len(block)])) + 2 * start * int(block.sum(dtype=np.uint64))
    return total % 2**32


def on_devices(array: jax.Array) -> jax.Array:
    """The digest of `[...]`, any dtype, as `[] uint32`; for `jax.jit`."""
    if not array.size:
        return jnp.uint32(0)
    array = array.astype(jnp.uint8) if array.dtype == jnp.bool_ else array
    width = 8 * min(array.dtype.itemsize, 4)
    bits = jax.lax.bitcast_convert_type(array, f"uint{width}").astype(jnp.uint32)
    place = jnp.uint32(0)
    for axis, size in enumerate(bits.shape):
        place = place * jnp.uint32(size) + jax.lax.broadcasted_iota(jnp.uint32, bits.shape, axis)
    return jnp.sum(bits * (2 * place + 1), dtype=jnp.uint32)
