"""Parts of several fusions: the projection of every modality's tokens to one width, and masked reductions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.networks.conditioning.tokens import Condition, Tokens, masked_mean


class Projection(nn.Module):
    """Projects each modality's tokens to `features` by its own LayerNorm and dense layer; zero where masked.

    The LayerNorm brings all modalities to one scale; the bias of the dense layer is the modality's embedding. Masked
    values are also set to zero before the LayerNorm, so that they, even NaN, reach neither the output nor a gradient.
    """

    features: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, tokens: Mapping[str, Tokens]) -> dict[str, Tokens]:
        projected = {}
        for name in sorted(tokens):
            mask = tokens[name].mask
            values = jnp.where(mask[..., None], tokens[name].values, 0)
            values = nn.LayerNorm(dtype=self.dtype, name=f"{name}_norm")(values)
            embedding = nn.initializers.normal(0.02)
            values = nn.Dense(self.features, dtype=self.dtype, bias_init=embedding, name=f"{name}_dense")(values)
            projected[name] = Tokens(jnp.where(mask[..., None], values, 0), mask)
        return projected


def summaries(projected: Mapping[str, Tokens]) -> tuple[jnp.ndarray, jnp.ndarray]:
    """The mean of each modality's tokens, `[B, M, D]`, and the presence of each modality, `[B, M] bool`.

    The M modalities are in the order of their names.
    """
    vectors = [masked_mean(projected[name].values, projected[name].mask) for name in sorted(projected)]
    present = [projected[name].mask.any(axis=1) for name in sorted(projected)]
    return jnp.stack(vectors, axis=1), jnp.stack(present, axis=1)


def join(projected: Mapping[str, Tokens]) -> Tokens:
    """The tokens of all modalities, concatenated along N in the order of the modalities' names."""
    parts = [projected[name] for name in sorted(projected)]
    values = jnp.concatenate([part.values for part in parts], axis=1)
    return Tokens(values, jnp.concatenate([part.mask for part in parts], axis=1))


def as_tokens(condition: Condition) -> Tokens:
    """The tokens and mask of a condition that a fusion made."""
    assert condition.tokens is not None and condition.mask is not None
    return Tokens(condition.tokens, condition.mask)


def as_condition(tokens: Tokens, pooled: jnp.ndarray) -> Condition:
    """The `Condition` of tokens and pooled vector `[B, D]`; masked tokens are set to zero."""
    return Condition(jnp.where(tokens.mask[..., None], tokens.values, 0), tokens.mask, pooled)
