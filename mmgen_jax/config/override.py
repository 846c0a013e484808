"""Changing fields of a config by their dotted names; what no config has is refused."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import ml_collections

from mmgen_jax import lookup
from mmgen_jax.config import schema
from mmgen_jax.config.schema import Config
from mmgen_jax.errors import ConfigError
from mmgen_jax.lookup import nearest


def override(config: Config, changes: Mapping[str, Any]) -> Config:
    """A copy with fields changed: `{"optimizers.generator.lr": "2e-4"}`; text is read as the field's type.

    Raises:
      ConfigError: no such field (the nearest one is named), or a value of another type.
    """
    config = config.copy_and_resolve_references()
    with config.unlocked():
        for key, value in changes.items():
            *path, field = key.split(".")
            node = config
            for depth, part in enumerate(path):
                node = _child(node, part, ".".join(path[:depth]))
                if not isinstance(node, ml_collections.ConfigDict):
                    raise ConfigError(f"config.{key}: {'.'.join(path[: depth + 1])} is a value, it has no fields")
            old = node[field] if field in node else _default(path, node, field)
            node[field] = _read(key, value, old)
    return config.lock()


def _default(path: list[str], node: Config, field: str) -> Any:
    """The default of a field that a component or optimizer has and the config leaves out."""
    from mmgen_jax.training import optimizers  # it imports jax, and a command that only reads configs need not

    cls = optimizers.Optimizer if path[:1] == ["optimizers"] and len(path) == 2 else None
    if "name" in node and path and (package := _package(path)):
        cls = lookup.find(package, node.name)
    defaults = {f.name: f.default for f in dataclasses.fields(cls) if f.init} if cls else {}
    defaults |= schema.PLACEMENT if path[0] == "encoders" else {}
    defaults |= {"modality_dropout": 0.0} if path[0] == "fusion" else {}
    value = defaults.get(field, dataclasses.MISSING)
    if isinstance(value, (bool, int, float, str, tuple)):
        return value
    settable = [name for name, default in defaults.items() if isinstance(default, (bool, int, float, str, tuple))]
    return _child(node, field, ".".join(path), settable)


def _package(path: list[str]) -> str | None:
    """The package whose component stands at a place of a config."""
    if path[0] == "representation":
        return schema.REPRESENTATION_PACKAGES.get(path[-1], "representations")
    return schema.PACKAGES.get(path[0])


def _child(node: Config, name: str, path: str, settable: Iterable[str] = ()):
    """The field `name` of a part; the error lists what there is, and what else can be set (`settable`)."""
    if name in node:
        return node[name]
    where = f"config.{path}" if path else "config"
    known = sorted({*node, *settable} - {"parent"})
    raise ConfigError(f"{where} has no field {name!r}; {nearest(name, known)}it has: {', '.join(known)}")


def _read(key: str, value: Any, old: Any) -> Any:
    """`value` as the type of `old`."""
    expected = type(old).__name__
    if isinstance(old, ml_collections.ConfigDict):
        raise ConfigError(f"config.{key}: it is a group of fields, set one of: {', '.join(sorted(old))}")
    if isinstance(value, str) and not isinstance(old, str):
        try:
            value = {"true": True, "false": False}[value.lower()] if isinstance(old, bool) else ast.literal_eval(value)
        except (ValueError, SyntaxError, KeyError):
            raise ConfigError(f"config.{key}: expected a value of type {expected}, got {value!r}") from None
    if isinstance(old, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if isinstance(old, tuple) and isinstance(value, list):
        value = tuple(value)
    if old is not None and type(value) is not type(old):
        raise ConfigError(f"config.{key}: expected a value of type {expected}, got {value!r}")
    return value


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in tree.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
