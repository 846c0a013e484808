"""Applying a player's network: its parameters and its other flax collections, which training updates.

`params` and `collections` are keyed by player. `collections[player]` holds what is no parameter, by flax collection:
batch statistics, codebooks and running moments, or `buffers` (see `training/state.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax


def apply(network: nn.Module, player: str, params, collections, *args, method: str = "__call__") -> Any:
    """The network's output as in evaluation."""
    return network.apply({"params": params[player], **collections[player]}, *args, method=method)


def apply_train(
    network: nn.Module, player: str, params, collections, *args, rngs: Mapping[Any, jax.Array]
) -> tuple[Any, dict[str, Any]]:
    """The network's output as in training, and `collections` with those of `player` updated."""
    own = collections[player]
    variables = {"params": params[player], **own}
    output, new = network.apply(variables, *args, train=True, rngs=dict(rngs), mutable=list(own))
    return output, {**collections, player: new}


def init_keys(rng: jax.Array, *names: str) -> dict[str, jax.Array]:
    """The same key for every rng that a network may ask for at initialisation, where nothing depends on the draws."""
    return dict.fromkeys(("params", "dropout", "modality_dropout", *names), rng)
