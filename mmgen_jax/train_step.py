"""The train step, and the loop core `steps` around it: the same for every objective family, and for the judges."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from mmgen_jax.modalities.modality import Batch
from mmgen_jax.networks.layers import mapped, randomness
from mmgen_jax.training import parallel, stopping
from mmgen_jax.training.optimizers import Optimizer
from mmgen_jax.training.state import TrainState, merge, split

AUGMENT = 0xA06
SKIPPED = "skipped_steps"


def train_step(
    state: TrainState,
    batch: Batch,
    *,
    objective,
    optimizers: Mapping[str, Optimizer],
    seed: int,
    players: tuple[str, ...],
    augment: Callable[[Batch, jax.Array], Batch] | None = None,
    accumulate: int = 1,
    rematerialise: bool = False,
    skip_bad: bool = False,
) -> tuple[TrainState, dict[str, jax.Array]]:
    """Updates each of `players` once, in order; a later player sees the new parameters of the earlier players.

    All randomness is a function of (seed, step), so a resume needs no saved key. Every player gets the same key:
    players that draw the same noise see the same samples, and XLA computes those samples once.

    Args:
      accumulate: number of parts of the batch whose losses and gradients are computed one after the other and
        averaged: less memory for the same batch. The random draws are those of the whole batch. Operations across
        examples (batch statistics, in-batch negatives, the share of masked examples) see one part.
      rematerialise: the backward pass computes activations again in place of keeping them; products of matrices stay.
      skip_bad: a step with a metric that is NaN or infinite changes nothing but the number of the step; the metric
        `SKIPPED` is 1 in such a step, else 0.

    Returns:
      `(state, metrics)`, with metrics `{"<player>/<name>": []}` averaged over the global batch: `loss`, `grad_norm`,
      `update_norm` and the objective's own.
    """
    rng = jax.random.fold_in(jax.random.key(seed), state.step)
    params, stats, buffers, opt, ema = dict(state.params), state.stats, state.buffers, dict(state.opt), dict(state.ema)
    if augment is not None:
        batch_size = next(iter(batch.values())).shape[0]
        # The objectives split `rng`; `fold_in` keeps the augmentation's keys distinct from the objectives' keys.
        batch = augment(batch, randomness.example_keys(jax.random.fold_in(rng, AUGMENT), batch_size))
    metrics = {}
    for player in players:
        whole = dict(parallel.gathered(params))

        def loss(player_params, collections, rows, player=player, params=whole):
            return objective.loss(player, params | {player: player_params}, collections, rows, rng, state.step)

        if rematerialise:
            loss = jax.checkpoint(loss, policy=jax.checkpoint_policies.dots_saveable)
        gradient = accumulated(in_parts(jax.value_and_grad(loss, has_aux=True)), accumulate)
        (value, (collections, details)), grads = gradient(whole[player], merge(stats, buffers), batch)
        stats, buffers = split(collections)
        grads, stats, details = mapped.mean((grads, stats, {"loss": value} | details))
        updates, opt[player] = optimizers[player].transform.update(grads, opt[player], params[player])
        params = params | {player: optax.apply_updates(params[player], updates)}
        # An update overflows one step before the loss does. The norms are metrics because the loop checks all metrics
        # for finiteness before it saves.
        details |= {"grad_norm": optax.global_norm(grads), "update_norm": optax.global_norm(updates)}
        metrics |= {f"{player}/{name}": metric for name, metric in details.items()}
        if player in ema:
            # The decay grows from 0.1 to `ema_decay`, so that the average forgets the initialisation quickly.
            since = state.step - optimizers[player].start_step
            decay = jnp.minimum(optimizers[player].ema_decay, (1.0 + since) / (10.0 + since))
            live = {"params": params[player], "stats": stats[player]}
            ema[player] = optax.incremental_update(live, ema[player], 1.0 - decay)
    after = TrainState(state.step + 1, params, stats, buffers, opt, ema)
    if skip_bad:
        finite = jnp.all(jnp.stack([jnp.isfinite(metric).all() for metric in metrics.values()]))
        unchanged = dataclasses.replace(state, step=after.step)
        after = jax.tree.map(lambda new, old: jnp.where(finite, new, old), after, unchanged)
        metrics[SKIPPED] = 1.0 - finite
    return after, metrics


def in_parts(gradient: Callable[..., Any]) -> Callable[..., Any]:
    """`gradient`, a `value_and_grad`, of which each device keeps the part whose parameters it updates."""

    def parted(*arguments):
        value, grads = gradient(*arguments)
        return value, parallel.in_parts(grads)

    return parted


def accumulated(gradient: Callable[..., Any], parts: int) -> Callable[..., Any]:
    """`gradient(params, collections, batch)`, a `value_and_grad` with collections and metrics, by parts of the batch.

    Part j holds the rows j, j + parts, …, so that every device has its share of each part. Collections go from part to
    part; value, metrics and gradients are means over the parts.
    """
    if parts == 1:
        return gradient

    def by_parts(params, collections, batch):
        size = next(iter(batch.values())).shape[0] // parts
        first = mapped.index() * size * parts

        def one(collections, part):
            number, rows = part
            places = first + number + parts * jnp.arange(size)
            with randomness.numbered(jnp.stack([jnp.zeros(size, jnp.int32), places], axis=1)):
                (value, (collections, details)), grads = gradient(params, collections, rows)
            return collections, (value, details, grads)

        rows = {name: array.reshape(size, parts, *array.shape[1:]).swapaxes(0, 1) for name, array in batch.items()}
        collections, outputs = jax.lax.scan(one, collections, (jnp.arange(parts), rows))
        value, details, grads = jax.tree.map(lambda leaf: leaf.mean(0), outputs)
        return (value, (collections, details)), grads

    return by_parts


def active_players(step: int, optimizers: Mapping[str, Optimizer], players: tuple[str, ...]) -> tuple[str, ...]:
    """The players that step number `step` (from 0) updates; the step is compiled once for each set of players."""
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
    """The loop core: yields `(step, state, metrics)` at `start`, with metrics None, and after every call up to `stop`.

    A batch is taken only when the caller asks for the next item. State and data position therefore belong to the same
    step whenever the caller saves them. The next call gets the state's buffers (donation): copy a state to keep it.

    Between two calls, `stopping.check` ends the loop where a signal has asked for it.

    Args:
      compiled: `(state, batch, players) -> (state, metrics)`; where `players` is None, `(state, batch) -> …`.
      per_call: number of steps in one call of `compiled`.
      players: `(step) -> players` to update in that step.
    """
    step, metrics = start, None
    yield step, state, metrics
    while step < stop:
        stopping.check()
        arguments = (players(step),) if players else ()
        state, metrics = compiled(state, next(batches), *arguments)
        step += per_call
        yield step, state, metrics
