"""Draws that are a function of an example's place in the global batch, whatever the layout of devices."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from mmgen_jax.networks.layers import mapped


def example_keys(rng: jax.Array, num_examples: int) -> jax.Array:
    """One key per example `[num_examples]`, a function of the example's place in the global batch.

    So what is drawn from them does not depend on how the batch is laid out on devices.
    """
    first = mapped.index() * num_examples
    return jax.vmap(jax.random.fold_in, (None, 0))(rng, first + jnp.arange(num_examples))


def normal(rng: jax.Array, num_examples: int, shape: tuple[int, ...]) -> jax.Array:
    """Standard normal noise `[num_examples, *shape]`, the same on every device layout."""
    return jax.vmap(lambda key: jax.random.normal(key, shape))(example_keys(rng, num_examples))


def uniform(rng: jax.Array, num_examples: int, shape: tuple[int, ...] = ()) -> jax.Array:
    """Uniform draws in [0, 1), `[num_examples, *shape]`, the same on every device layout."""
    return jax.vmap(lambda key: jax.random.uniform(key, shape))(example_keys(rng, num_examples))
