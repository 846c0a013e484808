"""The workdir of a run: prepares, reads and restores the run."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import jax

from mmgen_jax import lookup
from mmgen_jax.config import loading, override, schema
from mmgen_jax.config.system import System, build_system
from mmgen_jax.data.cache import disk
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import modalities_from_json, modalities_to_json
from mmgen_jax.runs import data, remote
from mmgen_jax.runs.sampler import Sampler
from mmgen_jax.training import checkpoint, parallel
from mmgen_jax.training.state import TrainState, averaged, create

# Files that a workdir may hold before its config: those of an interrupted start, and the data given to `api.train`.
MADE_BEFORE = {"modalities.json", data.FILE, "config.tmp", "data.npz"}  # "config.tmp": of version 0.1


def restore(workdir: str | os.PathLike, batch_size: int = 0, changes: Mapping[str, Any] | None = None, step: int = 0):
    """The run of a workdir, ready to sample: `(config, system, sampler, step)`; no data source is opened.

    Args:
      batch_size: batch size of the sampler; 0 is the run's own batch size.
      changes: `{"objective.temperature": 0.8}`, for fields that objective and representation list in `sampling`; and
        the places of the data, `{"data.directory": "elsewhere/pets"}`; see `schema.places`.
      step: of the checkpoint; 0: the newest whole one. `train.keep_checkpoints` says how many a run keeps.

    Raises:
      ConfigError: the workdir is missing, was never trained, or has no checkpoint yet; a change that sampling cannot
        make.
      CheckpointError: the workdir has no folder of checkpoints, or none of this step, or the checkpoint does not match
        the config.
    """
    workdir = remote.opened(workdir)
    config, modalities = read_workdir(workdir)
    config = changed(config, changes or {})
    system = build_system(config, modalities)
    with checkpoint.Checkpointer(remote.checkpoints(workdir), create=False) as checkpoints:
        layout = parallel.create("jit", batch_size=0)
        abstract = layout.abstract(lambda: create_state(config, system))
        found = (step, *checkpoints.restore(step, abstract)) if step else checkpoints.restore_newest(abstract)
        if found is None:
            raise ConfigError(f"--workdir={workdir}: no checkpoint yet; train it with mmgen train first")
        step, state, _ = found
    sampler = Sampler(system, layout, batch_size or config.train.batch_size, seed=config.seed)
    return config, system, sampler.load(*averaged(state)), step


def changed(config, changes: Mapping[str, Any]):
    """The config with changes to fields that only sampling reads, or to the places of the data.

    Raises:
      ConfigError: a change that sampling cannot make.
    """
    fields = getattr(lookup.find("objectives", config.objective.name), "sampling", ())
    allowed = [f"objective.{field}" for field in fields] + _decoding_fields(config.get("representation"))
    if unknown := sorted(set(changes) - {*allowed, *schema.places(config)}):
        free = f"{config.objective.name!r} can change in sampling: {', '.join(allowed) or 'nothing'}"
        try:
            override.check_field(config, unknown[0])
        except ConfigError as error:
            raise ConfigError(f"--config.{unknown[0]}: {error}; {free}") from error
        raise ConfigError(f"--config.{unknown[0]}: is fixed by the training; {free}")
    return override.override(config, changes)


def _decoding_fields(fields, where: str = "representation") -> list[str]:
    """The fields that only `decode` reads, of a representation and its `of`, or of one representation per target."""
    if not fields:
        return []
    if "name" not in fields:
        return [field for name in fields for field in _decoding_fields(fields[name], f"{where}.{name}")]
    own = getattr(lookup.find("representations", fields.name), "sampling", ())
    return [f"{where}.{field}" for field in own] + _decoding_fields(fields.get("of"), f"{where}.of")


def read_workdir(workdir: pathlib.Path):
    """The config and the modalities that a run saved."""
    workdir = remote.opened(workdir)
    if not workdir.is_dir():
        raise ConfigError(f"--workdir={workdir}: no such folder; expected one that mmgen train made")
    for file in ("config.json", "modalities.json"):
        if not (workdir / file).is_file():
            raise ConfigError(f"--workdir={workdir}: no {file} in it; expected a folder that mmgen train made")
    try:
        config = loading.from_json((file := workdir / "config.json").read_text())
        if lost := sorted({"data", "objective", "train"} - set(config)):
            raise KeyError(f"no {lost[0]}")
        return config, modalities_from_json((file := workdir / "modalities.json").read_text())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(
            f"{file}: is damaged ({' '.join(str(error).split())[:100]}); restore it from a copy or from a run of the "
            "same config and data, or train in a new --workdir"
        ) from error


def create_state(config, system: System) -> TrainState:
    """The initial state; the shapes come from the modalities, so no data is needed."""
    examples = {name: modality.zeros(2) for name, modality in system.modalities.items()}
    rng = jax.random.key(config.seed)
    return create(system.objective, system.optimizers, rng, examples)


def check_place(path: str | os.PathLike, flag: str) -> pathlib.Path:
    """The folder `path` with `~` expanded; the folder exists or can be created.

    Raises:
      ConfigError: the path is a file or lies below a file, or the folder may not be written to.
    """
    path = pathlib.Path(os.path.expanduser(path))
    there = next(place for place in (path, *path.absolute().parents) if place.exists())
    if not there.is_dir():
        raise ConfigError(f"{flag}={path}: {there} is a file; expected a folder, or a name that is free for one")
    if not os.access(there, os.W_OK):
        raise ConfigError(f"{flag}={path}: {there} may not be written to; change its permissions or use another folder")
    return path


def check_out(path: str | os.PathLike, overwrite: bool = False) -> pathlib.Path:
    """The folder that a command writes to, as `check_place` gives it; the folder is empty unless `overwrite`.

    Hidden files do not count: no command writes them, and some systems put them into every folder.

    Raises:
      ConfigError: the folder holds files, without `overwrite`; see also `check_place`.
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


def check_free(workdir: pathlib.Path) -> None:
    """Raises ConfigError where a workdir without a run holds other files; hidden files do not count."""
    held = workdir.iterdir() if workdir.exists() else ()
    if any(file.name not in MADE_BEFORE and not file.name.startswith(".") for file in held):
        raise ConfigError(f"--workdir={workdir} holds files but no run (no config.json); use an empty folder")


def check_given_again(config, saved, workdir: pathlib.Path) -> None:
    """Raises ConfigError where a run began on data of the user's own and is resumed on the data of the config alone."""
    argument = {"folder": "directory", "npz": "file"}  # of `--config=NAME:folder=DIR` and its field of config.data
    name = saved.data.get("name")
    if name in argument and config.data.get("name") not in argument:
        place = saved.data[argument[name]]
        raise ConfigError(
            f"--workdir={workdir} holds a run on data of your own ({place}); give this data again to resume: "
            f"api.train(…, source=…) with the same source or {str(place)!r}, or --config=NAME:{name}={place}"
        )


@contextlib.contextmanager
def prepared(workdir: pathlib.Path, config, source) -> Iterator[None]:
    """Checks that a run in the workdir has the same config and data; then locks the workdir and writes its files.

    The files are the config, the modalities and the fingerprint of the data. The lock is held until the block ends. A
    refused workdir stays unchanged.

    Raises:
      ConfigError: a run of another config or of other data, other files, or another training that writes there.
    """
    about = data.describe(source)
    if (workdir / "config.json").is_file():
        # The places of the data may change where a fingerprint can show that the data is the same.
        saved = read_workdir(workdir)[0]
        check_given_again(config, saved, workdir)
        may_change = {*schema.places(config), *schema.places(saved)} if data.read(workdir) else ()
        if same_fields := config.data.to_dict() == saved.data.to_dict():
            # The data is compared first: other fields, such as a batch size, may follow from the data.
            data.compare(workdir, config, about, source.modalities)
        loading.check_same(config, saved, workdir, may_change)
        if not same_fields:
            data.compare(workdir, config, about, source.modalities)
    else:
        check_free(workdir)
    with alone(workdir):
        # The config is written last: a folder with a config is complete.
        disk.replace(workdir / "modalities.json", modalities_to_json(source.modalities))
        disk.replace(workdir / data.FILE, json.dumps(about) + "\n")
        disk.replace(workdir / "config.json", loading.to_json(config))
        yield


@contextlib.contextmanager
def alone(workdir: pathlib.Path) -> Iterator[None]:
    """Holds the lock of a workdir while a training writes to it.

    Raises:
      ConfigError: another training holds the lock.
    """
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(disk.lock(remote.lock_file(workdir)))
        except disk.Busy as error:
            raise ConfigError(
                f"--workdir={workdir}: another training writes to it ({error}); wait for it, or use another --workdir"
            ) from None
        yield
