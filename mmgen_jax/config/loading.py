"""Loads configs from files, converts them to and from JSON, and refuses parts that no config has."""

from __future__ import annotations

import inspect
import json
import os
import pathlib
from collections.abc import Iterable

import ml_collections

from mmgen_jax.config import migration, own_data, python_file, shipped
from mmgen_jax.config.override import flatten, override
from mmgen_jax.config.schema import GROUPS, MAY_CHANGE, MAY_CHANGE_PARTS, NAMED_GROUPS, PARTS, Config, base
from mmgen_jax.errors import ConfigError
from mmgen_jax.lookup import nearest

FORMAT = 2  # of a saved config; version 0.1 wrote none


def load(reference: str, layout: str = "") -> Config:
    """The locked config of `path/to/file.py`, or of a shipped config's name; `:argument` may follow either.

    An argument may end in `folder=PATH` or `npz=FILE`, or in the arguments that the config's `OWN_DATA` names: the
    config on the user's own data, see `own_data`.

    Args:
      layout: `data.layout` of a folder of the user's own, see `data/files/folder_listing.py`; "": recognised.
    """
    path, _, argument = reference.partition(":")
    path = os.path.expanduser(path)
    file = shipped.find(path) if shipped.is_name(path) else pathlib.Path(path)
    if not file.is_file():
        found = sorted(str(f) for f in (file.parent if file.parent.is_dir() else pathlib.Path("configs")).glob("*.py"))
        own = f"; the package has one of that name: --config={file.stem}" if file.stem in shipped.names() else ""
        raise ConfigError(f"--config: no file {path}; there are: {', '.join(found) or 'no configs here'}{own}")
    module = python_file.run(file, "--config")
    if "get_config" not in module:
        raise ConfigError(f"--config: {path} has no function get_config(arg='')")
    places = tuple(module.get("OWN_DATA", ()))
    argument, paths = own_data.arguments(argument, places)
    argument, own = own_data.split(argument, layout)
    argument = os.path.expanduser(argument)
    if own and places:
        advice = f"--config={path}:{','.join(f'{name}=PATH' for name in places)}"
        raise ConfigError(f"--config={reference}: the config takes data in its own way; expected {advice}")
    if argument and "ARGUMENTS" not in module:
        raise ConfigError(f"--config: {path} takes no argument, got {argument!r}; expected --config={path}")
    with python_file.errors_of(file, "--config"):
        if layout and "layout" in inspect.signature(module["get_config"]).parameters:
            paths["layout"] = layout
        config = module["get_config"](*([argument] if argument else []), **paths)
        if not isinstance(config, ml_collections.ConfigDict):
            raise ConfigError(f"--config: {path}: get_config(): expected it to return the config, got {config!r}")
        config.reference = reference
        return own_data.onto(checked(config), own) if own else checked(config)


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
    defaults = base()
    for part in sorted(GROUPS & set(config)):
        groups = {part: config[part]}
        if part in NAMED_GROUPS and _is_group(config[part]):
            groups |= {f"{part}.{name}": fields for name, fields in config[part].items()}
        for where, group in groups.items():
            if not _is_group(group) and (group is not None or part in defaults):
                raise ConfigError(f"config.{where}: expected a group of fields, got {group!r}")
    for part in ("train", "parallel"):
        override(defaults, {f"{part}.{key}": value for key, value in config[part].items()})
    return config.lock()


def _is_group(value) -> bool:
    return isinstance(value, ml_collections.ConfigDict)


CONSTANT = ("constant", "step")  # schedules that do not depend on the length of the run


def check_same(config: Config, saved: Config, workdir, may_change: Iterable[str] = ()) -> None:
    """Raises ConfigError where a run in `workdir` would go on with another config than it began with.

    Args:
      may_change: fields that may differ, beside those of `schema.MAY_CHANGE`.
    """
    now, before = flatten(json.loads(to_json(config))), flatten(json.loads(to_json(saved)))
    shorter = min(now["train.steps"], before["train.steps"])
    scheduled = [
        key
        for key, value in before.items()
        if key.endswith(".schedule")
        and value not in CONSTANT
        and not 0 < before.get(key.removesuffix("schedule") + "stop_step", 0) <= shorter
    ]
    if scheduled and now["train.steps"] != before["train.steps"]:
        raise ConfigError(
            f"--workdir={workdir} holds a run whose {scheduled[0]} ends at step {before['train.steps']}, now train."
            f"steps is {now['train.steps']}; use another --workdir, or a constant schedule from the start"
        )
    free = {*MAY_CHANGE, *may_change}
    for key in sorted(set(now) | set(before)):
        if key in free or key.split(".")[0] in MAY_CHANGE_PARTS or now.get(key) == before.get(key):
            continue
        raise ConfigError(
            f"--workdir={workdir} holds a run of another config: {key} was {before.get(key, 'not set')!r}, now "
            f"{now.get(key, 'not set')!r}; use another --workdir, or the config it was trained with"
        )
