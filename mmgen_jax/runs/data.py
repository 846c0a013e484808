"""The record of a run's training data in its workdir; readers of data for the run compare the data with the record."""

from __future__ import annotations

import json
import os
import pathlib
from typing import Any

from absl import logging

from mmgen_jax.config import schema
from mmgen_jax.config.system import open_source
from mmgen_jax.data import fingerprint
from mmgen_jax.errors import ConfigError, DataError
from mmgen_jax.modalities.modality import modalities_from_json, modalities_to_json

FILE = "data.json"


def describe(source: Any) -> dict[str, Any]:
    """The content of `FILE`: `fingerprint` of the run's training data; `source`, the data's description without the
    choice of modalities; `examples`, their number, for messages.
    """
    run, without_choice = fingerprint.of_run(source)
    return {"fingerprint": run, "source": without_choice, "examples": len(source)}


def read(workdir: pathlib.Path) -> dict[str, Any]:
    """The content of `FILE` in a workdir; empty for a run from before version 0.2."""
    file = workdir / FILE
    try:
        return dict(json.loads(file.read_text())) if file.is_file() else {}
    except (ValueError, TypeError, RecursionError) as error:
        advice = "restore it from a copy, or remove it: shapes, classes and vocabularies alone are then compared"
        raise ConfigError(f"{file}: is damaged ({' '.join(str(error).split())[:100]}); {advice}") from error


def check(workdir: pathlib.Path, config) -> str:
    """Checks that the data that `config` names now is the data of the run, and returns its fingerprint.

    Raises:
      ConfigError: the data differs; without a record of the run's data, only shapes, classes and vocabularies are
        compared.
      DataError: the data cannot be read; for data that is no longer at its place, the flag that gives the new place.
    """
    try:
        source = open_source(config)
    except DataError as error:
        gone = {place: path for place, path in schema.places(config).items() if path and not _exists(path)}
        if not gone:
            raise
        advice = f"where the data has moved, give {' '.join(f'--config.{place}=PATH' for place in gone)}"
        file, modality, field, expected, got, _ = error.args
        raise DataError(file, modality, field, expected, got, advice) from error
    now = describe(source)
    compare(workdir, config, now, source.modalities)
    return now["fingerprint"]


def _exists(path: str) -> bool:
    return os.path.exists(os.path.expanduser(path))


def compare(workdir: pathlib.Path, config, now: dict[str, Any], modalities) -> None:
    """Raises ConfigError where the config's data differs from the data with which the run in `workdir` began.

    Args:
      now: the config's data as `describe` gives it.
      modalities: of the config's data.
    """
    before = read(workdir)
    saved = modalities_from_json((workdir / "modalities.json").read_text())
    differences = []
    if modalities_to_json(modalities) != modalities_to_json(saved):
        differences.append("shapes, classes or vocabulary differ from modalities.json")
    if before and before["fingerprint"] != now["fingerprint"]:
        differences.append(
            f"{before['examples']} training examples with fingerprint {before['fingerprint']}, now {now['examples']} "
            f"with {now['fingerprint']}"
        )
    if differences:
        places = " ".join(f"--config.{place}=PATH" for place, value in schema.places(config).items() if value)
        moved = f" (where it has moved: {places})" if places else ""
        raise ConfigError(
            f"--workdir={workdir}: the data is no longer what this run began with ({'; '.join(differences)}); restore "
            f"the data{moved}, or train in another --workdir"
        )
    if not before:
        logging.warning(
            "%s: the run has no fingerprint of its data, as it is from before there were any: only shapes, classes and "
            "vocabulary are compared",
            workdir,
        )
