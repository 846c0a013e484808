"""Objective families: one file each, a frozen dataclass `Objective` that holds its networks and weights.

    players: tuple[str, ...]                                  in update order; a name is also an `optimizers` entry
    init(rng, batch) -> {player: variables}
    loss(player, params, extra, batch, rng, step) -> (loss, (extra, metrics))      differentiated in params[player] only
    sample(params, extra, batch, rng) -> {target: array}      does not read the target from the batch; an objective
                                                              that only embeds has none

`params` and `extra` are keyed by player. Optional methods that evaluators ask for: `reconstruct` (as `sample`, reads
the target), `elbo(params, extra, batch, rng) -> [B]` nats, `embed` and `embed_pair`, of the conditions `[B, D]` and of
the conditions and the target, unit vectors `([B, D], [B, D])`. Optional `sampling: ClassVar[tuple[str, ...]]`: the
fields that only `sample` reads, so that `mmgen sample --config.objective.temperature=0.8` may set them after training.

Optional `stages`: pairs of players of which the first must have been trained, and stand still, when the second begins
(`optimizers.check_stages`).

Fields that the surroundings fill where an objective has them: `conditioner`, `generator`, `discriminator`,
`target_encoder`, `target_decoder`, `modality` (of `target`), `modalities` (of the data), `axis_name`.
"""

from __future__ import annotations

from collections.abc import Iterable

import jax
import jax.numpy as jnp

from mmgen_jax.modalities import MASK_SUFFIX
from mmgen_jax.parallel import example_keys


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


def drop_conditions(batch, names: Iterable[str], dropped: jax.Array) -> dict[str, jax.Array]:
    """The batch without any of the modalities `names` in the examples where `dropped [B] bool`."""
    masks = {name + MASK_SUFFIX: batch.get(name + MASK_SUFFIX, True) & ~dropped for name in set(names) & set(batch)}
    return {**batch, **masks}


def drop_some_conditions(objective, batch, rng: jax.Array):
    """`drop_conditions` of each example with probability `objective.condition_dropout`, for `objective.guidance`."""
    if not objective.condition_dropout:
        return batch
    keys = example_keys(rng, batch[objective.target].shape[0], objective.axis_name)
    dropped = jax.vmap(jax.random.uniform)(keys) < objective.condition_dropout
    return drop_conditions(batch, objective.conditioner.reads.values(), dropped)


def check_guidance(objective) -> None:
    """Raises ValueError where `condition_dropout` and `guidance` (Ho & Salimans, 2021) do not go together."""
    if not 0 <= objective.condition_dropout < 1:
        raise ValueError(f"objective.condition_dropout: expected in [0, 1), got {objective.condition_dropout}")
    if (objective.guidance != 1 or objective.condition_dropout) and objective.conditioner is None:
        raise ValueError("objective.guidance, condition_dropout: need conditions, got no encoders; leave them out")
    if objective.guidance != 1 and not objective.condition_dropout:
        raise ValueError("objective.guidance: needs a model that was trained with objective.condition_dropout")
