"""Random draws per example that do not depend on the layout of devices."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

import jax
import jax.numpy as jnp

from mmgen_jax.networks.layers import mapped

# Above the number of any example, so that a key derived from NO_PLACE never equals a key derived from an example's key.
NO_PLACE = 2**32 - 1
_NUMBERS: contextvars.ContextVar[jax.Array | None] = contextvars.ContextVar("example_numbers", default=None)


@contextlib.contextmanager
def numbered(numbers: jax.Array) -> Iterator[None]:
    """Sets `numbers [B, 2] int32` of the examples, for code traced inside the block: group, and place in the group.

    An example's keys are a function of its own two numbers, so its draws do not depend on the other examples.
    """
    token = _NUMBERS.set(numbers)
    try:
        yield
    finally:
        _NUMBERS.reset(token)


def example_keys(rng: jax.Array, num_examples: int) -> jax.Array:
    """Keys `[num_examples]`, one per example of this device: a function of `rng` and the index in the global batch.

    Draws from these keys do not depend on how the global batch is laid out over devices. Inside `numbered`, a key is a
    function of `rng`, group and place instead of the index; a place in group 0 gives the same key as an equal index.
    Of parts of examples, n of each in a row (the frames of clips), part i of place p has the place n p + i.
    """
    if (numbers := _NUMBERS.get()) is not None:
        parts, rest = divmod(num_examples, len(numbers))
        assert parts and not rest, f"{num_examples} draws for {len(numbers)} examples"
        group, place = jnp.repeat(numbers[:, 0], parts), jnp.repeat(numbers[:, 1] * parts, parts)
        place += jnp.tile(jnp.arange(parts, dtype=place.dtype), len(numbers))
        keys = jax.vmap(jax.random.fold_in, (None, 0))(rng, place)
        roots = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.fold_in(rng, NO_PLACE), group)
        return jnp.where(group > 0, jax.vmap(jax.random.fold_in)(roots, place), keys)
    first = mapped.index() * num_examples
    return jax.vmap(jax.random.fold_in, (None, 0))(rng, first + jnp.arange(num_examples))


def normal(rng: jax.Array, num_examples: int, shape: tuple[int, ...]) -> jax.Array:
    """Standard normal noise `[num_examples, *shape]`, the same for every layout of devices."""
    return jax.vmap(lambda key: jax.random.normal(key, shape))(example_keys(rng, num_examples))


def uniform(rng: jax.Array, num_examples: int, shape: tuple[int, ...] = ()) -> jax.Array:
    """Uniform draws in [0, 1), `[num_examples, *shape]`, the same for every layout of devices."""
    return jax.vmap(lambda key: jax.random.uniform(key, shape))(example_keys(rng, num_examples))
