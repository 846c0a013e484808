"""The train step: the same for every objective family."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import optax

from mmgen_jax.modalities.modality import Batch
from mmgen_jax.networks.layers.randomness import example_keys
from mmgen_jax.training.optimizers import Optimizer
from mmgen_jax.training.state import TrainState

AUGMENT = 0xA06


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    objective,
    optimizers: Mapping[str, Optimizer],
    seed: int,
    players: tuple[str, ...],
    augment: Callable[[Batch, jax.Array], Batch] | None = None,
    axis_name: str | None = None,
) -> tuple[TrainState, dict[str, jax.Array]]:
    """One update of each of `players`, in their order; later players see the earlier ones' new parameters.

    All randomness is a function of (seed, step), so a resume needs no saved key, and every player gets the same key:
    those that draw the same noise see the same samples, and XLA computes them once.
    """
    rng = jax.random.fold_in(jax.random.key(seed), state.step)
    params, extra, opt, ema = dict(state.params), state.extra, dict(state.opt), dict(state.ema)
    if augment is not None:
        batch_size = next(iter(batch.values())).shape[0]
        # The objectives split `rng`; folding keeps the augmentation's keys apart from theirs.
        batch = augment(batch, example_keys(jax.random.fold_in(rng, AUGMENT), batch_size, axis_name))
    metrics = {}
    for player in players:

        def loss(player_params, player=player, params=params, extra=extra):
            return objective.loss(player, params | {player: player_params}, extra, batch, rng, state.step)

        (value, (extra, details)), grads = jax.value_and_grad(loss, has_aux=True)(params[player])
        details = {"loss": value} | details
        if axis_name:
            grads, extra, details = jax.lax.pmean((grads, extra, details), axis_name)
        updates, opt[player] = optimizers[player].transform.update(grads, opt[player], params[player])
        params = params | {player: optax.apply_updates(params[player], updates)}
        # An update overflows a step before the loss does: the loop looks at every metric before it saves.
        details |= {"grad_norm": optax.global_norm(grads), "update_norm": optax.global_norm(updates)}
        metrics |= {f"{player}/{name}": metric for name, metric in details.items()}
        if player in ema:
            # The average starts short and lengthens to its decay, so that it never holds the initialisation for long.
            since = state.step - optimizers[player].start_step
            decay = jnp.minimum(optimizers[player].ema_decay, (1.0 + since) / (10.0 + since))
            live = {"params": params[player], "extra": extra[player]}
            ema[player] = optax.incremental_update(live, ema[player], 1.0 - decay)
    return TrainState(state.step + 1, params, extra, opt, ema), metrics


def active_players(step: int, optimizers: Mapping[str, Optimizer], players: tuple[str, ...]) -> tuple[str, ...]:
    """The players that step number `step` (from 0) updates; each set of them is compiled once."""
    return tuple(player for player in players if optimizers[player].is_active(step))
