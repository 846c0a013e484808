"""Classifier-free guidance (Ho & Salimans, 2021): conditions dropped in training, and checked."""

from __future__ import annotations

from collections.abc import Iterable

import jax

from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import MASK_SUFFIX, Batch
from mmgen_jax.networks.layers import randomness


def drop_conditions(batch: Batch, names: Iterable[str], dropped: jax.Array) -> dict[str, jax.Array]:
    """The batch without any of the modalities `names` in the examples where `dropped [B] bool`."""
    masks = {name + MASK_SUFFIX: batch.get(name + MASK_SUFFIX, True) & ~dropped for name in set(names) & set(batch)}
    return {**batch, **masks}


def drop_some_conditions(objective, batch: Batch, rng: jax.Array) -> Batch:
    """`drop_conditions` of each example with probability `objective.condition_dropout`, for `objective.guidance`."""
    if not objective.condition_dropout:
        return batch
    dropped = randomness.uniform(rng, batch[objective.target].shape[0]) < objective.condition_dropout
    return drop_conditions(batch, objective.conditions.names, dropped)


def check_guidance(objective) -> None:
    """Raises ConfigError where `condition_dropout` and `guidance` (Ho & Salimans, 2021) do not go together."""
    if not 0 <= objective.condition_dropout < 1:
        raise ConfigError(f"objective.condition_dropout: expected in [0, 1), got {objective.condition_dropout}")
    if (objective.guidance != 1 or objective.condition_dropout) and objective.conditioner is None:
        raise ConfigError("objective.guidance, condition_dropout: need conditions, got no encoders; leave them out")
    if objective.guidance != 1 and not objective.condition_dropout:
        raise ConfigError("objective.guidance: needs a model that was trained with objective.condition_dropout")
