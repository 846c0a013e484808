"""Masked examples, and the range of outputs."""

from __future__ import annotations

import functools

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


def example_weights(batch: Batch, *names: str) -> jax.Array:
    """Weights `[B]` with mean 1 over the global batch: 0 for examples that lack one of the modalities, else equal."""
    masks = [batch[name + MASK_SUFFIX] for name in names if name + MASK_SUFFIX in batch]
    if not masks:
        return jnp.ones(batch[names[0]].shape[0])
    mask = functools.reduce(jnp.logical_and, masks)
    share = mapped.mean_over_batch(mask.astype(jnp.float32))
    return mask / jnp.maximum(share, 1e-6)


def is_padding(sounds: jax.Array, pause: int) -> jax.Array:
    """`[B, S] bool`: True from `pause` samples after the last non-zero sample of a sound `[B, S]`."""
    later = jnp.cumsum((sounds != 0)[:, ::-1], axis=1)[:, ::-1]  # samples that are not 0, from here to the end
    length = jnp.sum(later > 0, axis=1, keepdims=True)
    return jnp.arange(sounds.shape[1]) >= length + pause
