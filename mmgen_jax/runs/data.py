"""The data of a run, as its workdir remembers it: whoever reads data for the run compares it first."""

from __future__ import annotations

import json
import pathlib
from typing import Any

from absl import logging

from mmgen_jax.config import schema
from mmgen_jax.config.system import open_source
from mmgen_jax.data import fingerprint
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import modalities_from_json, modalities_to_json

FILE = "data.json"
PLACES = tuple(f"data.{field}" for field in schema.PLACES)


def describe(source: Any) -> dict[str, Any]:
    """What `FILE` holds of a run's training data: its fingerprint and, for a message, its length."""
    return {"fingerprint": fingerprint.of(source), "examples": len(source)}


def read(workdir: pathlib.Path) -> dict[str, Any]:
    """What a run remembers of its data; nothing of a run before version 0.2."""
    file = workdir / FILE
    return json.loads(file.read_text()) if file.is_file() else {}


def check(workdir: pathlib.Path, config) -> str:
    """The fingerprint of the data that `config` names now, which is that of the run.

    Raises:
      ConfigError: it is other data, or there is no record of it and shapes, classes or vocabularies differ.
    """
    source = open_source(config)
    now = describe(source)
    compare(workdir, config, now, source.modalities)
    return now["fingerprint"]


def compare(workdir: pathlib.Path, config, now: dict[str, Any], modalities) -> None:
    """Raises ConfigError where the config's data, as `describe` gives it, is not what the run there began with."""
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
        place = next((place for place in PLACES if place.removeprefix("data.") in config.data), "")
        moved = f" (where it has moved: --config.{place}=PATH)" if place else ""
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
