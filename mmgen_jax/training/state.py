"""TrainState: all arrays that a run needs to resume, besides the data position.

Variables of a network that are not parameters are in one of two places, by their flax collection:

    stats      every collection but `buffers`: batch statistics, power-iteration vectors, codebooks, running moments.
               Every step averages the stats over devices. The moving average (EMA) contains them too: averaged
               parameters with the newest stats would be a network that was never trained.
    buffers    the collection `buffers`: an image pool, counters; any dtype. Buffers stay as the objective's loss
               returns them, and have no moving average. The loss must return the same buffers on every device
               (`networks/layers/mapped.gather`).
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
    """The state of a run; every mapping is keyed by player, and all leaves are arrays.

    Args:
      step: `[] int32`, the number of steps done.
      params: the parameters, which the optimizers train.
      stats, buffers: `{player: {flax collection: tree}}`, the variables that are not parameters.
      opt: the optimizer states.
      ema: `{player: {"params", "stats"}}`, moving averages over steps, for players with `ema_decay`.
    """

    step: jax.Array
    params: dict[str, Any]
    stats: dict[str, Any]
    buffers: dict[str, Any]
    opt: dict[str, Any]
    ema: dict[str, Any]

    @property
    def collections(self) -> dict[str, Any]:
        """`{player: {collection: tree}}` of stats and buffers, the argument of an objective's methods."""
        return merge(self.stats, self.buffers)


def split(collections: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Splits `{player: {collection: tree}}` into `(stats, buffers)`."""
    stats = {p: {k: v for k, v in own.items() if k != BUFFERS} for p, own in collections.items()}
    return stats, {p: {k: v for k, v in own.items() if k == BUFFERS} for p, own in collections.items()}


def merge(stats: Mapping[str, Any], buffers: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `split`."""
    return {player: {**stats[player], **buffers[player]} for player in stats}


def create(objective, optimizers: Mapping[str, Optimizer], rng: jax.Array, batch) -> TrainState:
    """The state before the first step; a pure function, for `eval_shape` and `jit(out_shardings=…)`."""
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
    """`(params, collections)` for sampling and evaluation: the moving average for players that have it."""
    params = {p: state.ema[p]["params"] if p in state.ema else state.params[p] for p in state.params}
    stats = {p: state.ema[p]["stats"] if p in state.ema else state.stats[p] for p in state.stats}
    return params, merge(stats, state.buffers)
