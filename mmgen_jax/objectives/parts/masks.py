"""Examples that lack a modality, and outputs brought to its range."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from mmgen_jax.modalities.modality import MASK_SUFFIX


def to_range(output: jax.Array) -> jax.Array:
    """A generator's unbounded output, in [-1, 1] and float32."""
    return jnp.tanh(output.astype(jnp.float32))


def present(batch, name: str) -> jax.Array:
    """A modality's array, zero where it is masked: what stands there must not matter, not even a NaN."""
    mask, array = batch.get(name + MASK_SUFFIX), batch[name]
    return array if mask is None else jnp.where(mask.reshape(-1, *[1] * (array.ndim - 1)), array, 0)


def presence_weights(batch, target: str, axis_name: str | None) -> jax.Array:
    """`[B]`, 0 where the target is masked, with mean 1 over the global batch."""
    mask = batch.get(target + MASK_SUFFIX)
    if mask is None:
        return jnp.ones(batch[target].shape[0])
    share = jnp.mean(mask.astype(jnp.float32))
    if axis_name:
        share = jax.lax.pmean(share, axis_name)
    return mask / jnp.maximum(share, 1e-6)
