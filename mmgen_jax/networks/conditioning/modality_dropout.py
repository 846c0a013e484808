"""Modality dropout (Neverova et al. 2015, "ModDrop"): training on random subsets of the modalities."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from mmgen_jax.networks.conditioning.tokens import Tokens


def drop_modalities(
    keys: jax.Array, tokens: Mapping[str, Tokens], rate: float | Mapping[str, float]
) -> dict[str, Tokens]:
    """Masks each modality of each example with probability `rate`, but never the last one that is there.

    The rate is one for all, or by name. One uniform number is drawn per modality from each example's own key
    (`keys [B]`), and the modality is dropped where it is under its rate; the present modality with the largest number
    stays in any case.
    """
    names = sorted(tokens)
    present = jnp.stack([tokens[name].mask.any(axis=1) for name in names])  # [M, B]
    draws = jax.vmap(lambda key: jax.random.uniform(key, (len(names),)), out_axes=1)(keys)  # [M, B]
    draws = jnp.where(present, draws, -1.0)
    rates = [rate.get(name, 0.0) if isinstance(rate, Mapping) else rate for name in names]
    keep = (draws >= jnp.array(rates)[:, None]) | (draws == draws.max(axis=0))
    dropped = {}
    for name, kept in zip(names, keep):
        mask = tokens[name].mask & kept[:, None]
        dropped[name] = Tokens(jnp.where(mask[..., None], tokens[name].values, 0), mask)
    return dropped
