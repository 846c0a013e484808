"""Classifier-free guidance (Ho & Salimans, 2021): dropping conditions in training, and checks of the fields."""

from __future__ import annotations

from collections.abc import Iterable

import jax

from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import MASK_SUFFIX, Batch
from mmgen_jax.networks.layers import randomness


def drop_conditions(batch: Batch, names: Iterable[str], dropped: jax.Array) -> dict[str, jax.Array]:
    """The batch with the modalities `names` masked in the examples where `dropped [B] bool` is True."""
    masks = {name + MASK_SUFFIX: batch.get(name + MASK_SUFFIX, True) & ~dropped for name in set(names) & set(batch)}
    return {**batch, **masks}


def drop_some_conditions(objective, batch: Batch, rng: jax.Array) -> Batch:
    """The batch, with all conditions masked in each example with probability `objective.condition_dropout`."""
    if not objective.condition_dropout:
        return batch
    dropped = randomness.uniform(rng, batch[objective.target].shape[0]) < objective.condition_dropout
    return drop_conditions(batch, objective.conditions.names, dropped)


def check_guidance(objective) -> None:
    """Raises ConfigError where `condition_dropout` is out of [0, 1), or guidance lacks conditions or their dropout."""
    if not 0 <= objective.condition_dropout < 1:
        raise ConfigError(f"objective.condition_dropout: expected in [0, 1), got {objective.condition_dropout}")
    if (objective.guidance != 1 or objective.condition_dropout) and objective.conditioner is None:
        raise ConfigError("objective.guidance, condition_dropout: need conditions, got no encoders; leave them out")
    if objective.guidance != 1 and not objective.condition_dropout:
        raise ConfigError("objective.guidance: needs a model that was trained with objective.condition_dropout above 0")
