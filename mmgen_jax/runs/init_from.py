"""Networks that start from another run's parameters.

The field is `config.encoders.<name>.init_from = "workdir"` or `"workdir:module"`, for an encoder with the same fields;
or `config.generator.init_from = "workdir"`, for a generator that has all modules of the other run's generator.

A generator of texts keeps its own vocabulary. Parameters of an id (its embedding, its output weights) are copied for
words in both vocabularies. A decoder that attends to conditions may start from a decoder without conditions; its
attention to the conditions, which the other run lacks, keeps its initial values.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from mmgen_jax.config.system import System
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.tokenizer import NUM_SPECIAL, Tokenizer
from mmgen_jax.runs.workdir import restore
from mmgen_jax.training.state import TrainState

Match = Callable[[Any, Any], Any]  # (the module's own tree, the other run's) -> the tree to start from
ADVICE = "give the generator the fields it was trained with"
Rows = tuple[int, int, np.ndarray]  # sizes of two vocabularies, and the other's id of each own id, -1 for none


def load(state: TrainState, system: System) -> TrainState:
    """The state with the parameters (and their averages) of `system.init_from`, in every player that has the module.

    `module` is the name of the module in the other run's parameters. Without `module`, the encoder of the same name is
    used, else the `target_encoder` of an autoencoder.

    Raises:
      ConfigError: no such run or module, or a module of another architecture.
    """
    for place, reference in system.init_from.items():
        workdir, _, module = reference.partition(":")
        _, other, sampler, _ = restore(workdir)
        where, name = f"{place}.init_from={reference}", place.replace(".", "_", 1)
        wanted = (module,) if module else (name, "target_encoder")[: 1 if place == "generator" else 2]
        match = functools.partial(_matched, where=where)
        if place == "generator":
            match = functools.partial(_shared, where=where, rows=_rows(system.objective, other.objective))
        params, collections = (find(trees, wanted) for trees in sampler.variables)
        if params is None:
            raise ConfigError(f"{place}.init_from: {workdir} has no module called {' or '.join(wanted)}")
        replace = functools.partial(_replace, name=name, match=match)
        averages = {
            player: {
                "params": replace(ema["params"], source=params),
                "stats": replace(ema["stats"], source=collections),
            }
            for player, ema in state.ema.items()
        }
        state = dataclasses.replace(
            state,
            params={player: replace(tree, source=params) for player, tree in state.params.items()},
            stats={player: replace(tree, source=collections) for player, tree in state.stats.items()},
            ema=averages,
        )
    return state


def find(trees: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The first module of the first of `names` that a player has, None without any; the generator is asked first."""
    players = sorted(trees, key=lambda player: player != "generator")
    found = (_below(trees[player], name) for name in names for player in players)
    return next((module for module in found if module is not None), None)


def _below(tree: Any, name: str) -> Any:
    if not isinstance(tree, Mapping):
        return None
    if name in tree:
        return tree[name]
    found = (_below(child, name) for child in tree.values())
    return next((module for module in found if module is not None), None)


def _replace(tree: Any, name: str, match: Match, source: Any) -> Any:
    """The tree with `match(module, source)` for each module called `name`.

    `source` is None where the other run has no such module; the tree then stays as it is.
    """
    if source is None or not isinstance(tree, Mapping):
        return tree
    return {
        key: match(child, source) if key == name else _replace(child, name, match, source)
        for key, child in tree.items()
    }


def _leaves(tree: Any) -> dict[str, jax.Array]:
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def _matched(old: Any, new: Any, where: str) -> Any:
    """`new` with the sharding of `old`; the arrays are copies, because the train step donates its state."""
    before, after = _leaves(old), _leaves(new)
    for path in sorted(set(before) | set(after)):
        expected, got = (tree[path].shape if path in tree else "nothing" for tree in (before, after))
        if expected != got:
            raise ConfigError(
                f"{where}: {path} expected {expected}, got {got}; give the encoder the fields it was trained with"
            )
    return jax.tree.map(lambda a, b: jax.device_put(b.copy(), a.sharding), old, new)


def _shared(old: Any, new: Any, where: str, rows: Rows | None) -> Any:
    """`old` with the leaves that `new` has too; `rows` joins the two along the axis of the vocabulary."""
    before, after = _leaves(old), _leaves(new)
    if extra := sorted(set(after) - set(before)):
        raise ConfigError(f"{where}: {extra[0]} expected nothing, got {after[extra[0]].shape}; {ADVICE}")

    def start(path, own):
        key = jax.tree_util.keystr(path)
        if key not in after:
            return own
        found = _join(np.asarray(own), np.asarray(after[key]), rows)
        if found.shape != own.shape:
            raise ConfigError(f"{where}: {key} expected {own.shape}, got {found.shape}; {ADVICE}")
        return jax.device_put(found.copy(), own.sharding)

    return jax.tree_util.tree_map_with_path(start, old)


def _rows(own: Any, other: Any) -> Rows | None:
    """How the ids of two targets belong together; None where one of them has no vocabulary, or where both are equal."""
    mine, theirs = (_tokenizer(objective) for objective in (own, other))
    if mine is None or theirs is None or mine == theirs or "byte" in (mine.unit, theirs.unit):
        return None
    places = {word: NUM_SPECIAL + i for i, word in enumerate(theirs.vocabulary)}
    found = np.array([*range(NUM_SPECIAL), *(places.get(word, -1) for word in mine.vocabulary)])
    return mine.vocab_size, theirs.vocab_size, found


def _tokenizer(objective: Any) -> Tokenizer | None:
    return objective.modality.tokenizer


def _join(own: np.ndarray, other: np.ndarray, rows: Rows | None) -> np.ndarray:
    """`other`, its axis of the vocabulary in the order of `own`; ids that only `own` has keep the values of `own`."""
    if rows is None or own.ndim != other.ndim:
        return other
    size, their_size, found = rows
    axes = [i for i, pair in enumerate(zip(own.shape, other.shape)) if pair == (size, their_size)]
    if not axes:
        return other
    taken = np.take(other, np.maximum(found, 0), axis=axes[0])
    known = (found >= 0).reshape([-1 if i == axes[0] else 1 for i in range(own.ndim)])
    return np.where(known, taken, own) if taken.shape == own.shape else taken
