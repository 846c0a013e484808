"""Examples that lack a modality, and outputs brought to its range."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from mmgen_jax.modalities.modality import MASK_SUFFIX, Batch
from mmgen_jax.networks.layers import mapped


def batch_size(batch: Batch) -> int:
    return next(iter(batch.values())).shape[0]


def to_range(output: jax.Array) -> jax.Array:
    """A generator's unbounded output, in [-1, 1] and float32."""
    return jnp.tanh(output.astype(jnp.float32))


def zero_masked(batch: Batch, name: str) -> jax.Array:
    """A modality's array, zero where it is masked: what stands there must not matter, not even a NaN."""
    mask, array = batch.get(name + MASK_SUFFIX), batch[name]
    return array if mask is None else jnp.where(mask.reshape(-1, *[1] * (array.ndim - 1)), array, 0)


def example_weights(batch: Batch, target: str) -> jax.Array:
    """`[B]`, 0 where the target is masked, with mean 1 over the global batch."""
    mask = batch.get(target + MASK_SUFFIX)
    if mask is None:
        return jnp.ones(batch[target].shape[0])
    share = mapped.mean_over_batch(mask.astype(jnp.float32))
    return mask / jnp.maximum(share, 1e-6)
