"""What encoders and fusions give, Tokens and Condition; averages and softmaxes over masked tokens."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from flax import struct

from mmgen_jax.errors import ConfigError


@struct.dataclass
class Tokens:
    """What an encoder gives: `values [B, N, D]` and `mask [B, N] bool`, False where there is nothing to attend to."""

    values: jnp.ndarray
    mask: jnp.ndarray


@struct.dataclass
class Condition:
    """What generators and discriminators read.

    Args:
      tokens: `[B, N, D]`, from the fusion; None, as `mask` and `pooled`, where only aligned sources condition.
      mask: `[B, N] bool`, False where there is nothing to attend to.
      pooled: `[B, D]`, the conditions as one vector.
      aligned: `{name: [B, *grid, C]}`, sources at their own grid, zero where masked. Networks that can use them bring
        them to their grid (`networks/layers/aligned.py`), the others ignore them.
    """

    tokens: jnp.ndarray | None
    mask: jnp.ndarray | None
    pooled: jnp.ndarray | None
    aligned: dict[str, jnp.ndarray] = dataclasses.field(default_factory=dict)


def pooled_of(condition: Condition | None) -> jnp.ndarray | None:
    """The conditions as one vector `[B, D]`, None where there is none."""
    return None if condition is None else condition.pooled


def pooled(condition: Condition) -> jnp.ndarray:
    """The conditions as one vector `[B, D]`.

    Raises:
      ConfigError: there are only aligned sources.
    """
    if condition.pooled is None:
        raise ConfigError("config.aligned: aligned sources alone give no vector of the conditions; add an encoder")
    return condition.pooled


def tokens_of(condition: Condition | None) -> tuple[jnp.ndarray | None, jnp.ndarray | None]:
    """`(tokens, mask)` of the conditions, None where there are none."""
    return (None, None) if condition is None else (condition.tokens, condition.mask)


def masked_mean(values: jnp.ndarray, mask: jnp.ndarray) -> jnp.ndarray:
    """Mean over N of `values [B, N, D]` where `mask [B, N]`; zero where there is nothing."""
    count = jnp.maximum(mask.sum(axis=1, keepdims=True), 1).astype(values.dtype)
    return jnp.where(mask[..., None], values, 0).sum(axis=1) / count


def masked_softmax(logits: jnp.ndarray, mask: jnp.ndarray) -> jnp.ndarray:
    """Softmax over the last axis among the entries where `mask`; all zero where there are none."""
    finite = jnp.where(mask, logits, jnp.finfo(logits.dtype).min)
    return jax.nn.softmax(finite, axis=-1) * mask
