"""TrainState: everything a run must save to go on, as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flax
import jax
import jax.numpy as jnp

from mmgen_jax.training.optimizers import Optimizer


@flax.struct.dataclass
class TrainState:
    """Arrays only; every mapping is keyed by player.

    Args:
      step: `[] int32`, updates made so far.
      params: what the optimizers train.
      extra: the other variable collections of the networks (batch statistics, power-iteration vectors).
      opt: optimizer states.
      ema: `{"params", "extra"}` averaged over steps, for the players whose optimizer asks for it. Batch statistics are
        averaged with the parameters, because averaged parameters with live statistics are a network never trained.
    """

    step: jax.Array
    params: dict[str, Any]
    extra: dict[str, Any]
    opt: dict[str, Any]
    ema: dict[str, Any]


def create(objective, optimizers: Mapping[str, Optimizer], rng: jax.Array, batch) -> TrainState:
    """The state before the first step; pure, so that `eval_shape` and `jit(out_shardings=…)` work on it."""
    variables = objective.init(rng, batch)
    params = {player: variables[player]["params"] for player in objective.players}
    extra = {p: {k: v for k, v in variables[p].items() if k != "params"} for p in objective.players}
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        extra=extra,
        opt={player: optimizers[player].transform.init(params[player]) for player in objective.players},
        ema={
            player: {"params": params[player], "extra": extra[player]}
            for player in objective.players
            if optimizers[player].ema_decay
        },
    )


def averaged(state: TrainState) -> tuple[dict[str, Any], dict[str, Any]]:
    """`(params, extra)` to sample and evaluate with: the moving average where a player has one."""
    params = {p: state.ema[p]["params"] if p in state.ema else state.params[p] for p in state.params}
    extra = {p: state.ema[p]["extra"] if p in state.ema else state.extra[p] for p in state.extra}
    return params, extra
