"""What encoders and fusions give: Tokens and Fused; averages and softmaxes over masked tokens."""

from __future__ import annotations

import flax
import jax
import jax.numpy as jnp


@flax.struct.dataclass
class Tokens:
    """What an encoder gives: `values [B, N, D]` and `mask [B, N] bool`, False where there is nothing to attend to."""

    values: jnp.ndarray
    mask: jnp.ndarray


@flax.struct.dataclass
class Fused:
    """What a fusion gives: `tokens [B, N, D]`, their `mask [B, N] bool`, and one vector `pooled [B, D]`."""

    tokens: jnp.ndarray
    mask: jnp.ndarray
    pooled: jnp.ndarray


def masked_mean(values: jnp.ndarray, mask: jnp.ndarray) -> jnp.ndarray:
    """Mean over N of `values [B, N, D]` where `mask [B, N]`; zero where there is nothing."""
    count = jnp.maximum(mask.sum(axis=1, keepdims=True), 1).astype(values.dtype)
    return jnp.where(mask[..., None], values, 0).sum(axis=1) / count


def masked_softmax(logits: jnp.ndarray, mask: jnp.ndarray) -> jnp.ndarray:
    """Softmax over the last axis among the entries where `mask`; all zero where there are none."""
    finite = jnp.where(mask, logits, jnp.finfo(logits.dtype).min)
    return jax.nn.softmax(finite, axis=-1) * mask
