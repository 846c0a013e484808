"""The train step and the loop around it: the same for every objective family, and for the judges."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from mmgen_jax.modalities.modality import Batch
from mmgen_jax.networks.layers import mapped
from mmgen_jax.networks.layers.randomness import example_keys
from mmgen_jax.training.optimizers import Optimizer
from mmgen_jax.training.state import TrainState, merge, split

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
) -> tuple[TrainState, dict[str, jax.Array]]:
    """One update of each of `players`, in their order; later players see the earlier ones' new parameters.

    All randomness is a function of (seed, step), so a resume needs no saved key, and every player gets the same key:
    those that draw the same noise see the same samples, and XLA computes them once.
    """
    rng = jax.random.fold_in(jax.random.key(seed), state.step)
    params, stats, buffers, opt, ema = dict(state.params), state.stats, state.buffers, dict(state.opt), dict(state.ema)
    if augment is not None:
        batch_size = next(iter(batch.values())).shape[0]
        # The objectives split `rng`; folding keeps the augmentation's keys apart from theirs.
        batch = augment(batch, example_keys(jax.random.fold_in(rng, AUGMENT), batch_size))
    metrics = {}
    for player in players:

        def loss(player_params, player=player, params=params, collections=merge(stats, buffers)):
            return objective.loss(player, params | {player: player_params}, collections, batch, rng, state.step)

        (value, (collections, details)), grads = jax.value_and_grad(loss, has_aux=True)(params[player])
        stats, buffers = split(collections)
        grads, stats, details = mapped.mean((grads, stats, {"loss": value} | details))
        updates, opt[player] = optimizers[player].transform.update(grads, opt[player], params[player])
        params = params | {player: optax.apply_updates(params[player], updates)}
        # An update overflows a step before the loss does: the loop looks at every metric before it saves.
        details |= {"grad_norm": optax.global_norm(grads), "update_norm": optax.global_norm(updates)}
        metrics |= {f"{player}/{name}": metric for name, metric in details.items()}
        if player in ema:
            # The average starts short and lengthens to its decay, so that it never holds the initialisation for long.
            since = state.step - optimizers[player].start_step
            decay = jnp.minimum(optimizers[player].ema_decay, (1.0 + since) / (10.0 + since))
            live = {"params": params[player], "stats": stats[player]}
            ema[player] = optax.incremental_update(live, ema[player], 1.0 - decay)
    return TrainState(state.step + 1, params, stats, buffers, opt, ema), metrics


def active_players(step: int, optimizers: Mapping[str, Optimizer], players: tuple[str, ...]) -> tuple[str, ...]:
    """The players that step number `step` (from 0) updates; each set of them is compiled once."""
    return tuple(player for player in players if optimizers[player].is_active(step))


def steps(
    compiled: Callable[..., tuple[Any, dict[str, jax.Array]]],
    state: Any,
    batches: Iterator[Batch],
    *,
    stop: int,
    start: int = 0,
    per_call: int = 1,
    players: Callable[[int], tuple[str, ...]] | None = None,
) -> Iterator[tuple[int, Any, dict[str, jax.Array] | None]]:
    """The loop core: `(step, state, metrics)` at `start`, where metrics is None, and after every call up to `stop`.

    A batch is taken only when the next item is asked for, so what a caller saves between two items is state and data
    position of one step. A state is donated to the call after it: copy what is to be kept.

    Args:
      compiled: `(state, batch, players) -> (state, metrics)`, or `(state, batch)` without `players`.
      per_call: updates in one call.
      players: those that a step updates.
    """
    step, metrics = start, None
    yield step, state, metrics
    while step < stop:
        arguments = (players(step),) if players else ()
        state, metrics = compiled(state, next(batches), *arguments)
        step += per_call
        yield step, state, metrics
