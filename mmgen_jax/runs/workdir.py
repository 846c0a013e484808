"""A run on disk: prepared, read back, restored."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping
from typing import Any

import jax

from mmgen_jax import lookup
from mmgen_jax.config import loading, override
from mmgen_jax.config.system import System, build_system
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import modalities_from_json, modalities_to_json
from mmgen_jax.runs.sampler import Sampler
from mmgen_jax.training import checkpoint, parallel
from mmgen_jax.training.state import TrainState, averaged, create


def restore(workdir: pathlib.Path, batch_size: int = 0, changes: Mapping[str, Any] | None = None):
    """What a workdir holds, ready to sample: `(config, system, sampler, step)`; no data source is opened.

    Args:
      batch_size: to sample in; 0 is the run's own, which gives the noise that the run itself was evaluated with.
      changes: `{"objective.temperature": 0.8}`, of what objective and representation list as their
        `sampling` fields.

    Raises:
      ConfigError: the workdir is missing, was never trained, or has no checkpoint yet; a change that sampling
        cannot make.
    """
    config, modalities = read_workdir(workdir)
    config = changed(config, changes or {})
    system = build_system(config, modalities)
    with checkpoint.Checkpointer(workdir / "checkpoints", create=False) as checkpoints:
        step = checkpoints.latest_step()
        if step is None:
            raise ConfigError(f"--workdir={workdir}: no checkpoint yet; train it with mmgen train first")
        layout = parallel.create("jit", batch_size=0)
        state, _ = checkpoints.restore(step, layout.abstract(lambda: create_state(config, system)))
    sampler = Sampler(system, layout, batch_size or config.train.batch_size, seed=config.seed)
    return config, system, sampler.load(*averaged(state)), step


def changed(config, changes: Mapping[str, Any]):
    """The config with changes to what sampling reads.

    Raises:
      ConfigError: a change that sampling cannot make.
    """
    fields = getattr(lookup.find("objectives", config.objective.name), "sampling", ())
    allowed = [f"objective.{field}" for field in fields] + _decoding_fields(config.get("representation"))
    if unknown := sorted(set(changes) - set(allowed)):
        raise ConfigError(
            f"--config.{unknown[0]}: is fixed by the training; {config.objective.name!r} can change in sampling: "
            + (", ".join(allowed) or "nothing")
        )
    return override.override(config, changes)


def _decoding_fields(fields, where: str = "representation") -> list[str]:
    """The fields that only `decode` reads, of a representation and what it stands on, or of one for each target."""
    if not fields:
        return []
    if "name" not in fields:
        return [field for name in fields for field in _decoding_fields(fields[name], f"{where}.{name}")]
    own = getattr(lookup.find("representations", fields.name), "sampling", ())
    return [f"{where}.{field}" for field in own] + _decoding_fields(fields.get("of"), f"{where}.of")


def read_workdir(workdir: pathlib.Path):
    """Config and modalities that a run saved."""
    if not workdir.is_dir():
        raise ConfigError(f"--workdir={workdir}: no such folder; expected one that mmgen train made")
    for file in ("config.json", "modalities.json"):
        if not (workdir / file).is_file():
            raise ConfigError(f"--workdir={workdir}: no {file} in it; expected a folder that mmgen train made")
    config = loading.from_json((workdir / "config.json").read_text())
    return config, modalities_from_json((workdir / "modalities.json").read_text())


def create_state(config, system: System) -> TrainState:
    """The initial state; the shapes come from the modalities, so no data is needed."""
    examples = {name: modality.zeros(2) for name, modality in system.modalities.items()}
    rng = jax.random.key(config.seed)
    return create(system.objective, system.optimizers, rng, examples)


def prepare_workdir(workdir: pathlib.Path, config, modalities) -> None:
    """Writes config and modalities, or checks that the run there is of the same config."""
    if (workdir / "config.json").is_file():
        saved, before = read_workdir(workdir)
        loading.check_same(config, saved, workdir)
        if modalities_to_json(modalities) != modalities_to_json(before):
            raise ConfigError(
                f"--workdir={workdir}: the data is no longer what this run began with (shapes, classes or vocabulary "
                "differ from modalities.json); restore the data, or train in another --workdir"
            )
    elif workdir.exists() and any(file.name not in ("modalities.json", "config.tmp") for file in workdir.iterdir()):
        raise ConfigError(f"--workdir={workdir} holds files but no run (no config.json); use an empty folder")
    if jax.process_index() == 0:
        workdir.mkdir(parents=True, exist_ok=True)
        # The config last and in one move: a folder that has it is whole.
        (workdir / "modalities.json").write_text(modalities_to_json(modalities))
        (workdir / "config.tmp").write_text(loading.to_json(config))
        (workdir / "config.tmp").replace(workdir / "config.json")
