"""Configs: loading a file, overriding fields by their dotted names, and refusing what no config has."""

from __future__ import annotations

import json
import pathlib
import runpy

import ml_collections

from mmgen_jax.config import migration
from mmgen_jax.config.override import flatten, override
from mmgen_jax.config.schema import MAY_CHANGE, MAY_CHANGE_PARTS, PARTS, Config, base
from mmgen_jax.errors import ConfigError
from mmgen_jax.lookup import nearest

FORMAT = 2  # of a saved config; version 0.1 wrote none


def load(reference: str) -> Config:
    """The locked config of `path/to/file.py` or `path/to/file.py:argument`."""
    path, _, argument = reference.partition(":")
    file = pathlib.Path(path)
    if not file.is_file():
        found = sorted(str(f) for f in (file.parent if file.parent.is_dir() else pathlib.Path("configs")).glob("*.py"))
        raise ConfigError(f"--config: no file {path}; there are: {', '.join(found) or 'no configs here'}")
    module = runpy.run_path(str(file), run_name=f"config_{file.stem}")
    if "get_config" not in module:
        raise ConfigError(f"--config: {path} has no function get_config(arg='')")
    if argument and "ARGUMENTS" not in module:
        raise ConfigError(f"--config: {path} takes no argument, got {argument!r}; expected --config={path}")
    config = module["get_config"](argument) if argument else module["get_config"]()
    config.reference = reference
    return checked(config)


def to_json(config: Config) -> str:
    return json.dumps({"format": FORMAT, **config.to_dict()}, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def from_json(text: str) -> Config:
    def tuples(value):
        if isinstance(value, dict):
            return {k: tuples(v) for k, v in value.items()}
        return tuple(map(tuples, value)) if isinstance(value, list) else value

    fields = json.loads(text)
    if fields.pop("format", 1) == 1:
        fields = migration.upgraded(migration.with_defaults(fields))
    return ml_collections.ConfigDict(tuples(fields)).lock()


def checked(config: Config) -> Config:
    if unknown := sorted(set(config) - PARTS):
        hint = nearest(unknown[0], PARTS)
        raise ConfigError(f"config.{unknown[0]}: no such part; {hint}the parts are: {', '.join(sorted(PARTS))}")
    for part in ("train", "parallel"):
        override(base(), {f"{part}.{key}": value for key, value in config[part].items()})
    return config.lock()


def check_same(config: Config, saved: Config, workdir) -> None:
    """Raises ConfigError where a run in `workdir` would go on with another config than it began with."""
    now, before = flatten(json.loads(to_json(config))), flatten(json.loads(to_json(saved)))
    scheduled = [key for key, value in before.items() if key.endswith(".schedule") and value != "constant"]
    if scheduled and now["train.steps"] != before["train.steps"]:
        raise ConfigError(
            f"--workdir={workdir} holds a run whose {scheduled[0]} ends at step {before['train.steps']}, now train."
            f"steps is {now['train.steps']}; use another --workdir, or a constant schedule from the start"
        )
    for key in sorted(set(now) | set(before)):
        if key in MAY_CHANGE or key.split(".")[0] in MAY_CHANGE_PARTS or now.get(key) == before.get(key):
            continue
        raise ConfigError(
            f"--workdir={workdir} holds a run of another config: {key} was {before.get(key, 'not set')!r}, now "
            f"{now.get(key, 'not set')!r}; use another --workdir, or the config it was trained with"
        )
