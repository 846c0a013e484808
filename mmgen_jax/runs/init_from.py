"""Encoders that start from another run's parameters.

The field is `config.encoders.<name>.init_from = "workdir"` or `"workdir:module"`.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping

import jax

from mmgen_jax.errors import ConfigError
from mmgen_jax.runs.workdir import restore
from mmgen_jax.training.state import TrainState


def load(state: TrainState, init_from: Mapping[str, str]) -> TrainState:
    """The state with the encoders' parameters (and their averages) replaced, in every player that has them.

    `module` is the name of the module in the other run's parameters. Without `module`, the encoder of the same name is
    used, else the `target_encoder` of an autoencoder.

    Raises:
      ConfigError: no such run or module, or one of another architecture.
    """
    for name, reference in init_from.items():
        workdir, _, module = reference.partition(":")
        wanted = (module,) if module else (f"encoders_{name}", "target_encoder")
        params, collections = _variables(pathlib.Path(workdir))
        source = _find(params, wanted)
        if source is None:
            raise ConfigError(f"encoders.{name}.init_from: {workdir} has no module called {' or '.join(wanted)}")

        def replace(trees, source, encoder=f"encoders_{name}", reference=reference):
            return _replace(trees, encoder, source, reference) if source is not None else trees

        statistics = _find(collections, wanted)  # of batch normalisation, where the encoder has it
        averages = {
            player: {"params": replace(ema["params"], source), "stats": replace(ema["stats"], statistics)}
            for player, ema in state.ema.items()
        }
        state = dataclasses.replace(
            state, params=replace(state.params, source), stats=replace(state.stats, statistics), ema=averages
        )
    return state


def _variables(workdir: pathlib.Path):
    _, _, sampler, _ = restore(workdir)
    return sampler.variables


def _find(tree, names: tuple[str, ...]):
    """The first subtree whose key is one of `names`."""
    if not isinstance(tree, Mapping):
        return None
    for name in names:
        if name in tree:
            return tree[name]
    return next((found for child in tree.values() if (found := _find(child, names)) is not None), None)


def _replace(tree, name: str, source, reference: str):
    if not isinstance(tree, Mapping):
        return tree
    return {
        key: _matched(child, source, name, reference) if key == name else _replace(child, name, source, reference)
        for key, child in tree.items()
    }


def _matched(old, new, name: str, reference: str):
    """`new` with the sharding of `old`; the arrays are copies, because the train step donates its state."""
    before, after = (
        {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}
        for tree in (old, new)
    )
    for path in sorted(set(before) | set(after)):
        expected, got = (tree[path].shape if path in tree else "nothing" for tree in (before, after))
        if expected != got:
            raise ConfigError(
                f"encoders.{name.removeprefix('encoders_')}.init_from={reference}: {path} expected {expected}, got "
                f"{got}; give the encoder the fields it was trained with"
            )
    return jax.tree.map(lambda a, b: jax.device_put(b.copy(), a.sharding), old, new)
