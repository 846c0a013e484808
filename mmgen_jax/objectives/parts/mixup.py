"""Mixup: convex combinations of two examples of a batch (Zhang et al., 2018)."""

from __future__ import annotations

import jax

from mmgen_jax.networks.layers import mapped


def mixup_weights(keys: jax.Array, alpha: float) -> jax.Array:
    """Weights `[B]` float32 from Beta(alpha, alpha), each example's own weight in `mix`; one key per example."""
    return jax.vmap(lambda key: jax.random.beta(key, alpha, alpha))(keys)


def mix(values: jax.Array, weight: jax.Array) -> jax.Array:
    """`weight · values + (1 - weight) · partner`; the partner is the previous example of the global batch.

    Batches are shuffled, so the partners need no permutation. Call `mix` with the same `weight [B]` for all values
    `[B, ...]` of an example, e.g. its images and, as one-hot vectors `[B, num_classes]`, its labels.
    """
    weight = weight.reshape(-1, *[1] * (values.ndim - 1))
    return weight * values + (1.0 - weight) * mapped.roll(values)
