"""A run on disk: prepared, read back, restored."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import jax

from mmgen_jax import lookup
from mmgen_jax.config import loading, override
from mmgen_jax.config.system import System, build_system
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import modalities_from_json, modalities_to_json
from mmgen_jax.runs import data
from mmgen_jax.runs.sampler import Sampler
from mmgen_jax.training import checkpoint, parallel
from mmgen_jax.training.state import TrainState, averaged, create

# What a workdir may hold before its config: of a start that was interrupted, and data that `api.train` was given.
MADE_BEFORE = {"modalities.json", data.FILE, "config.tmp", "data.npz"}


def restore(workdir: str | os.PathLike, batch_size: int = 0, changes: Mapping[str, Any] | None = None):
    """What a workdir holds, ready to sample: `(config, system, sampler, step)`; no data source is opened.

    Args:
      batch_size: to sample in; 0 is the run's own.
      changes: `{"objective.temperature": 0.8}`, of what objective and representation list as their
        `sampling` fields; and where the data lies, `{"data.directory": "elsewhere/pets"}`.

    Raises:
      ConfigError: the workdir is missing, was never trained, or has no checkpoint yet; a change that sampling
        cannot make.
    """
    workdir = pathlib.Path(os.path.expanduser(workdir))
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
    allowed += [place for place in data.PLACES if place.removeprefix("data.") in config.data]
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
    workdir = pathlib.Path(os.path.expanduser(workdir))
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


def check_place(path: str | os.PathLike, flag: str) -> pathlib.Path:
    """The folder, `~` expanded, that is there or can be made.

    Raises:
      ConfigError: it is or lies in a file, or may not be written to.
    """
    path = pathlib.Path(os.path.expanduser(path))
    there = next(place for place in (path, *path.absolute().parents) if place.exists())
    if not there.is_dir():
        raise ConfigError(f"{flag}={path}: {there} is a file; expected a folder, or a name that is free for one")
    if not os.access(there, os.W_OK):
        raise ConfigError(f"{flag}={path}: {there} may not be written to; change its permissions or use another folder")
    return path


def check_out(path: str | os.PathLike, overwrite: bool = False) -> pathlib.Path:
    """The folder that a command writes to, as `check_place` gives it; nothing is in it, unless `overwrite`.

    Hidden files do not count: no command writes them, and some systems put them into every folder.

    Raises:
      ConfigError: it holds files; see also `check_place`.
    """
    path = check_place(path, "--out")
    held = sorted(file.name for file in path.iterdir() if not file.name.startswith(".")) if path.exists() else []
    if held and not overwrite:
        raise ConfigError(
            f"--out={path}: expected a new or empty folder, it holds {held[0]}"
            + (f" and {len(held) - 1} more" if len(held) > 1 else "")
            + "; give another one, or --overwrite, which replaces files of the same names and keeps the others"
        )
    return path


def prepare_workdir(workdir: pathlib.Path, config, source) -> None:
    """Writes config, modalities and the data's fingerprint, or checks that the run there is of the same."""
    about = data.describe(source)
    if (workdir / "config.json").is_file():
        # Where the data lies may change, as what it is can be compared.
        may_change = data.PLACES if data.read(workdir) else ()
        saved = read_workdir(workdir)[0]
        if same_fields := config.data.to_dict() == saved.data.to_dict():
            # First: other fields, such as a batch size, may follow from what the data holds.
            data.compare(workdir, config, about, source.modalities)
        loading.check_same(config, saved, workdir, may_change)
        if not same_fields:
            data.compare(workdir, config, about, source.modalities)
    elif workdir.exists() and any(file.name not in MADE_BEFORE for file in workdir.iterdir()):
        raise ConfigError(f"--workdir={workdir} holds files but no run (no config.json); use an empty folder")
    if jax.process_index() == 0:
        workdir.mkdir(parents=True, exist_ok=True)
        # The config last and in one move: a folder that has it is whole.
        (workdir / "modalities.json").write_text(modalities_to_json(source.modalities))
        (workdir / data.FILE).write_text(json.dumps(about) + "\n")
        (workdir / "config.tmp").write_text(loading.to_json(config))
        (workdir / "config.tmp").replace(workdir / "config.json")
