"""Mixup: convex combinations of two examples of a batch (Zhang et al., 2018)."""

from __future__ import annotations

import jax

from mmgen_jax.networks.layers import mapped


def mixup_weights(keys: jax.Array, alpha: float) -> jax.Array:
    """`[B]` float32, Beta(alpha, alpha): what part of each example stays itself in `mix` (mixup, Zhang et al. 2018)."""
    return jax.vmap(lambda key: jax.random.beta(key, alpha, alpha))(keys)


def mix(values: jax.Array, weight: jax.Array) -> jax.Array:
    """`weight · values + (1 - weight) · partner`, the partner being the example before in the global batch.

    A shuffled batch needs no permutation. All that belongs to an example is mixed with the same `weight [B]`: its
    images and, as one-hot vectors `[B, num_classes]`, its labels.
    """
    weight = weight.reshape(-1, *[1] * (values.ndim - 1))
    return weight * values + (1.0 - weight) * mapped.roll(values)
