"""Changes a config by dotted names: sets, removes or adds fields, and exchanges components; refuses all else."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import ml_collections

from mmgen_jax.config import declared, following, schema
from mmgen_jax.config.schema import Config
from mmgen_jax.errors import ConfigError
from mmgen_jax.lookup import nearest

FIXED = {"data", "objective", "train", "parallel", "seed", "dtype", "reference"}  # parts that every config has


def override(config: Config, changes: Mapping[str, Any], say: Callable[[str], None] = lambda line: None) -> Config:
    """A copy with fields changed: `{"optimizers.generator.lr": "2e-4"}`; text is read as the field's type.

    `none` (or None) removes a field or a group, so that its default holds; for a field that holds text, "none" is an
    ordinary text. A group is added by its `name`: `{"encoders.video.name": "video.conv3d"}`. A new `name` also removes
    the fields that the new component does not have; names are changed before all else. Parts that have no use after
    the changes are removed as well, see `following`.

    Args:
      say: called with one line for each part that is removed or added as a consequence of a change.

    Raises:
      ConfigError: no such field (the message names the nearest field), or a value of another type.
    """
    before = config
    config = config.copy_and_resolve_references()
    with config.unlocked(), config.ignore_type():
        for key in sorted(changes, key=lambda key: (not key.endswith(".name"), key.count(".") * key.endswith(".name"))):
            _change(config, key, changes[key], changes, say)
        following.follow(before, config, changes, say)
    return config.lock()


def _change(config: Config, key: str, value: Any, changes: Mapping[str, Any], say: Callable[[str], None]) -> None:
    *path, field = key.split(".")
    node = config
    for depth, part in enumerate(path):
        here = path[: depth + 1]
        if part not in node and _may_begin(here, node, config, changes):
            node[part] = {}
        inner = _child(node, part, here[:-1], declared.fields(here[:-1], node) if part not in node else ())
        if here == ["fusion", "modality_dropout"] and isinstance(inner, float) and depth < len(path):
            inner = node[part] = ml_collections.ConfigDict(dict.fromkeys(config.encoders, inner))
        if not isinstance(inner, ml_collections.ConfigDict):
            raise ConfigError(f"config.{key}: {'.'.join(here)} is a value, it has no fields")
        node = inner
    has_name = declared.package(path, node) or path[:1] == ["optimizers"]
    if field == "name" and has_name and isinstance(value, str) and value != node.get("name"):
        following.switch(node, path, value, say)
        return
    known = declared.fields(path, node)
    old = node[field] if field in node else known.get(field, 0.0 if _any_name(config, path) else None)
    if isinstance(known.get(field), float) and isinstance(old, ml_collections.ConfigDict):
        old = 0.0  # one value may replace this group
    if value is None or (isinstance(value, str) and value.lower() == "none" and not isinstance(old, str)):
        _take_out(node, path, field, known)
    elif isinstance(read := _literal(value), Mapping):
        _set_group(node, path, field, read, known)
    elif old is None:
        _child(node, field, path, known)
    else:
        node[field] = _read(key, value, old, declared.alternatives(path, node, field))


def check_field(config: Config, key: str) -> None:
    """Raises ConfigError where a config neither has nor could have the field `key`; the message names the nearest."""
    node, path = config, key.split(".")
    for depth, part in enumerate(path):
        if not isinstance(node, ml_collections.ConfigDict) or _any_name(config, path[:depth]):
            return
        known = declared.fields(path[:depth], node)
        if part not in node and (part in known or declared.package(path[: depth + 1])):
            return
        node = _child(node, part, path[:depth], known)


def _any_name(config: Config, path: Sequence[str]) -> bool:
    """Whether a group holds numbers under any names: strengths of operations, weights of labels, rates of encoders."""
    if len(path) < 2 or path[0] == "augment" or path == ["fusion", "modality_dropout"]:
        return len(path) == 2
    parent = config
    for part in path[:-1]:
        parent = parent[part]
    return not declared.package(path) and isinstance(declared.fields(path[:-1], parent).get(path[-1]), dict)


def _may_begin(path: Sequence[str], parent: Config, config: Config, changes: Mapping[str, Any]) -> bool:
    """Whether a missing group may be added: by its name, for a player, or where its part takes any name."""
    if declared.package(path):
        return ".".join([*path, "name"]) in changes
    if path[0] == "optimizers":
        return len(path) == 2 and path[1] in following.players(config)
    if path[0] == "augment":
        return len(path) == 2
    return isinstance(declared.fields(path[:-1], parent).get(path[-1]), dict)


def _take_out(node: Config, path: Sequence[str], field: str, known: Mapping[str, Any]) -> None:
    where = ".".join([*path, field])
    if where in FIXED or path[:1] in (["train"], ["parallel"]):
        raise ConfigError(f"config.{where}: every config has it; set it to a value")
    if field not in node:
        if field not in known:
            _child(node, field, path, known)
        return  # the field has its default already
    if not path and field in schema.base():
        node[field] = {}
    else:
        del node[field]


def _set_group(node: Config, path: Sequence[str], field: str, value: Mapping[str, Any], known: Mapping) -> None:
    where = [*path, field]
    holds = field in node and isinstance(node[field], ml_collections.ConfigDict)
    if not (holds or declared.package(where) or isinstance(known.get(field), dict) or where[0] == "augment"):
        raise ConfigError(f"config.{'.'.join(where)}: expected a value, got a group of fields")
    node[field] = ml_collections.ConfigDict(dict(value))


def _child(node: Config, name: str, path: Sequence[str], settable: Iterable[str] = ()):
    """The field `name` of a part; the error lists the existing fields, and others that can be set (`settable`)."""
    if name in node:
        return node[name]
    where = ".".join(["config", *path])
    known = sorted({*node, *settable} - {"parent"})
    new = f"; to add it, set {'.'.join([*path, name])}.name" if declared.package([*path, name]) else ""
    raise ConfigError(f"{where} has no field {name!r}; {nearest(name, known)}it has: {', '.join(known) or 'none'}{new}")


def _literal(value: Any) -> Any:
    """The group that a text gives in Python's notation; any other value unchanged."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            return ast.literal_eval(value)
        except (ValueError, SyntaxError):
            return value
    return value


def _read(key: str, value: Any, old: Any, others: Sequence[type] = ()) -> Any:
    """`value` as the type of `old`, or of one of `others`."""
    expected = type(old).__name__
    if isinstance(old, (ml_collections.ConfigDict, dict)):
        fields = ", ".join(sorted(old))
        raise ConfigError(f"config.{key}: it is a group of fields, set one of: {fields or 'its own names'}")
    if isinstance(value, str) and not isinstance(old, str):
        try:
            value = {"true": True, "false": False}[value.lower()] if isinstance(old, bool) else ast.literal_eval(value)
        except (ValueError, SyntaxError, KeyError):
            raise ConfigError(f"config.{key}: expected a value of type {expected}, got {value!r}") from None
    if (isinstance(old, float) or float in others) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if (isinstance(old, tuple) or tuple in others) and isinstance(value, list):
        value = tuple(value)
    if type(value) is not type(old) and type(value) not in others:
        raise ConfigError(f"config.{key}: expected a value of type {expected}, got {value!r}")
    return value


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
