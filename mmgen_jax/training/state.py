"""TrainState: everything a run must save to go on, as arrays.

What a network holds beside its parameters is in one of two places, by its flax collection:

    stats      every collection but `buffers`: batch statistics, power-iteration vectors, codebooks, running moments.
               They are averaged over devices at every step, and with the parameters in the moving average: averaged
               parameters with live statistics are a network that was never trained.
    buffers    the collection `buffers`: an image pool, counters; any dtype. They come back as the objective left them,
               which must be the same on every device (`networks/layers/mapped.gather`), and have no average.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from mmgen_jax.training.optimizers import Optimizer

BUFFERS = "buffers"


@struct.dataclass
class TrainState:
    """Arrays only; every mapping is keyed by player.

    Args:
      step: `[] int32`, updates made so far.
      params: what the optimizers train.
      stats, buffers: the other flax collections, see above.
      opt: optimizer states.
      ema: `{"params", "stats"}` averaged over steps, for the players whose optimizer asks for it.
    """

    step: jax.Array
    params: dict[str, Any]
    stats: dict[str, Any]
    buffers: dict[str, Any]
    opt: dict[str, Any]
    ema: dict[str, Any]

    @property
    def collections(self) -> dict[str, Any]:
        """`{player: {collection: tree}}` of both kinds, as an objective takes them."""
        return merge(self.stats, self.buffers)


def split(collections: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """`{player: {collection: tree}}` as `(stats, buffers)`."""
    stats = {p: {k: v for k, v in own.items() if k != BUFFERS} for p, own in collections.items()}
    return stats, {p: {k: v for k, v in own.items() if k == BUFFERS} for p, own in collections.items()}


def merge(stats: Mapping[str, Any], buffers: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `split`."""
    return {player: {**stats[player], **buffers[player]} for player in stats}


def create(objective, optimizers: Mapping[str, Optimizer], rng: jax.Array, batch) -> TrainState:
    """The state before the first step; pure, so that `eval_shape` and `jit(out_shardings=…)` work on it."""
    variables = objective.init(rng, batch)
    params = {player: variables[player]["params"] for player in objective.players}
    stats, buffers = split({p: {k: v for k, v in variables[p].items() if k != "params"} for p in objective.players})
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        stats=stats,
        buffers=buffers,
        opt={player: optimizers[player].transform.init(params[player]) for player in objective.players},
        ema={
            player: {"params": params[player], "stats": stats[player]}
            for player in objective.players
            if optimizers[player].ema_decay
        },
    )


def averaged(state: TrainState) -> tuple[dict[str, Any], dict[str, Any]]:
    """`(params, collections)` to sample and evaluate with: the moving average where a player has one."""
    params = {p: state.ema[p]["params"] if p in state.ema else state.params[p] for p in state.params}
    stats = {p: state.ema[p]["stats"] if p in state.ema else state.stats[p] for p in state.stats}
    return params, merge(stats, state.buffers)
