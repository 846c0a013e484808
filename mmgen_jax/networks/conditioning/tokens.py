"""The outputs of encoders (`Tokens`) and fusions (`Condition`); mean and softmax over masked tokens."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from flax import struct

from mmgen_jax.errors import ConfigError


@struct.dataclass
class Tokens:
    """The output of an encoder: `values [B, N, D]` and `mask [B, N] bool`, False where a token must not be used."""

    values: jnp.ndarray
    mask: jnp.ndarray


@struct.dataclass
class Condition:
    """The conditions as generators and discriminators read them.

    `tokens`, `mask` and `pooled` come from the fusion; they are None where aligned sources are the only conditions.

    Args:
      tokens: `[B, N, D]`.
      mask: `[B, N] bool`, False where a token must not be used.
      pooled: `[B, D]`, all conditions as one vector.
      aligned: `{name: [B, *grid, C]}`, sources at their own grid, zero where masked. A network that can use the sources
        resizes them to its grid (`networks/layers/aligned.py`); other networks ignore them.
    """

    tokens: jnp.ndarray | None
    mask: jnp.ndarray | None
    pooled: jnp.ndarray | None
    aligned: dict[str, jnp.ndarray] = dataclasses.field(default_factory=dict)


def pooled_of(condition: Condition | None) -> jnp.ndarray | None:
    """The conditions as one vector `[B, D]`, None where there are no conditions or only aligned sources."""
    return None if condition is None else condition.pooled


def pooled(condition: Condition) -> jnp.ndarray:
    """As `pooled_of`, for networks that cannot work without the vector.

    Raises:
      ConfigError: the only conditions are aligned sources.
    """
    if condition.pooled is None:
        raise ConfigError("config.aligned: aligned sources alone give no vector of the conditions; add an encoder")
    return condition.pooled


def not_empty(vector: jnp.ndarray, generator: str) -> jnp.ndarray:
    """The vector `[B, D]` that a generator starts from.

    Raises:
      ConfigError: D is 0: the latent is empty, and no condition is concatenated to it.
    """
    if not vector.shape[-1]:
        raise ConfigError(
            f"generators/{generator}: starts from the latent and has none; set objective.latent_dim to at least 1, or "
            "choose a generator that starts from aligned sources"
        )
    return vector


def tokens_of(condition: Condition | None) -> tuple[jnp.ndarray | None, jnp.ndarray | None]:
    """`(tokens [B, N, D], mask [B, N])` of the conditions; both None where there are no tokens."""
    return (None, None) if condition is None else (condition.tokens, condition.mask)


def masked_mean(values: jnp.ndarray, mask: jnp.ndarray) -> jnp.ndarray:
    """Mean over N of the `values [B, N, D]` where `mask [B, N]` is True, `[B, D]`; zero where all are masked."""
    count = jnp.maximum(mask.sum(axis=1, keepdims=True), 1).astype(values.dtype)
    return jnp.where(mask[..., None], values, 0).sum(axis=1) / count


def masked_softmax(logits: jnp.ndarray, mask: jnp.ndarray) -> jnp.ndarray:
    """Softmax over the last axis, among the entries where `mask` is True; all zero where all are masked."""
    finite = jnp.where(mask, logits, jnp.finfo(logits.dtype).min)
    return jax.nn.softmax(finite, axis=-1) * mask
