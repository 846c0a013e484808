"""Draws that are a function of an example's place in the global batch, whatever the layout of devices."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def example_keys(rng: jax.Array, num_examples: int, axis_name: str | None = None) -> jax.Array:
    """One key per example `[num_examples]`, a function of the example's place in the global batch.

    So what is drawn from them does not depend on how the batch is laid out on devices.
    """
    first = jax.lax.axis_index(axis_name) * num_examples if axis_name else 0
    return jax.vmap(jax.random.fold_in, (None, 0))(rng, first + jnp.arange(num_examples))


def normal(rng: jax.Array, num_examples: int, shape: tuple[int, ...], axis_name: str | None = None) -> jax.Array:
    """Standard normal noise `[num_examples, *shape]`, the same on every device layout."""
    keys = example_keys(rng, num_examples, axis_name)
    return jax.vmap(lambda key: jax.random.normal(key, shape))(keys)


def roll(x: jax.Array, axis_name: str | None = None) -> jax.Array:
    """Every example's place taken by the one before it in the global batch, the first's by the last; `[B, ...]`."""
    rolled = jnp.roll(x, 1, axis=0)
    if not axis_name:
        return rolled
    num_devices = jax.lax.axis_size(axis_name)
    last = jax.lax.ppermute(x[-1:], axis_name, [(i, (i + 1) % num_devices) for i in range(num_devices)])
    return rolled.at[:1].set(last)
