"""Modality dropout (Neverova et al. 2015, "ModDrop"): training on random subsets of the modalities."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from mmgen_jax.networks.conditioning.tokens import Tokens


def drop_modalities(
    keys: jax.Array, tokens: Mapping[str, Tokens], rate: float | Mapping[str, float]
) -> dict[str, Tokens]:
    """Masks each modality of each example with probability `rate`, but never all modalities of an example.

    Each example draws a uniform number for each modality, and loses the modalities whose number is below their rate.
    Where an example would lose all its modalities, the present modality with the largest number stays.

    Args:
      keys: `[B]`, one key per example.
      rate: one number for all modalities, or `{name: rate}`, with 0 for modalities that are left out.
    """
    names = sorted(tokens)
    present = jnp.stack([tokens[name].mask.any(axis=1) for name in names])  # [M, B]
    draws = jax.vmap(lambda key: jax.random.uniform(key, (len(names),)), out_axes=1)(keys)  # [M, B]
    draws = jnp.where(present, draws, -1.0)
    rates = [rate.get(name, 0.0) if isinstance(rate, Mapping) else rate for name in names]
    keep = draws >= jnp.array(rates)[:, None]
    keep |= ~(keep & present).any(axis=0) & (draws == draws.max(axis=0))
    dropped = {}
    for name, kept in zip(names, keep):
        mask = tokens[name].mask & kept[:, None]
        dropped[name] = Tokens(jnp.where(mask[..., None], tokens[name].values, 0), mask)
    return dropped
