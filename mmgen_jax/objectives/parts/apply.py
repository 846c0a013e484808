"""Applies the network of a player with its parameters and its other flax collections, which training updates.

`params` and `collections` are keyed by player. `collections[player]` holds all variables but the parameters, by flax
collection: batch statistics, codebooks, running moments, `buffers` (see `training/state.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax


def apply(network: nn.Module, player: str, params, collections, *args, method: str = "__call__") -> Any:
    """The output of the player's network in evaluation mode."""
    return network.apply({"params": params[player], **collections[player]}, *args, method=method)


def apply_train(
    network: nn.Module, player: str, params, collections, *args, rngs: Mapping[Any, jax.Array], method: str = "__call__"
) -> tuple[Any, dict[str, Any]]:
    """`(output, collections)` in training mode, with the player's own collections updated."""
    own = collections[player]
    variables = {"params": params[player], **own}
    output, new = network.apply(variables, *args, train=True, rngs=dict(rngs), mutable=list(own), method=method)
    return output, {**collections, player: new}


def init_keys(rng: jax.Array, *names: str) -> dict[str, jax.Array]:
    """`{name: rng}` for every rng that a network may need at initialisation: `params`, the dropouts, and `names`.

    All names share one key, because only the parameters depend on the draws.
    """
    return dict.fromkeys(("params", "dropout", "modality_dropout", *names), rng)
