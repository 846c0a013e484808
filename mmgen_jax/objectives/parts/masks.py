"""Masked examples, and the range of outputs."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from mmgen_jax.modalities.modality import MASK_SUFFIX, Batch
from mmgen_jax.networks.layers import mapped


def batch_size(batch: Batch) -> int:
    return next(iter(batch.values())).shape[0]


def to_range(output: jax.Array) -> jax.Array:
    """A generator's unbounded output, brought to [-1, 1] by tanh, float32."""
    return jnp.tanh(output.astype(jnp.float32))


def zero_masked(batch: Batch, name: str) -> jax.Array:
    """The array of a modality, with zeros in masked examples, so that their values have no influence, even NaN."""
    mask, array = batch.get(name + MASK_SUFFIX), batch[name]
    return array if mask is None else jnp.where(mask.reshape(-1, *[1] * (array.ndim - 1)), array, 0)


def example_weights(batch: Batch, target: str) -> jax.Array:
    """Weights `[B]` with mean 1 over the global batch: 0 for examples whose target is masked, equal for the others."""
    mask = batch.get(target + MASK_SUFFIX)
    if mask is None:
        return jnp.ones(batch[target].shape[0])
    share = mapped.mean_over_batch(mask.astype(jnp.float32))
    return mask / jnp.maximum(share, 1e-6)
