"""A component's name is its module path: `fusion` and `cross_attention` give `mmgen_jax/fusion/cross_attention.py`."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

ROOT = pathlib.Path(__file__).parent

# The class that every module of a package defines.
CLASS = {
    "data": "Source",
    "encoders": "Encoder",
    "fusion": "Fusion",
    "generators": "Generator",
    "discriminators": "Discriminator",
    "objectives": "Objective",
    "evaluators": "Evaluator",
}


class LookupFailed(ValueError):
    """A name or field that does not exist; the message lists those that do."""


def find(package: str, name: str) -> type:
    """The class of component `name`.

    Raises:
      LookupFailed: there is no such module; the message lists the ones there are.
    """
    if name not in available(package):
        raise LookupFailed(
            f"{package}: {name!r} does not exist (no mmgen_jax/{package}/{str(name).replace('.', '/')}.py); "
            f"{nearest(name, available(package))}there are: {', '.join(available(package))}"
        )
    return getattr(importlib.import_module(f"mmgen_jax.{package}.{name}"), CLASS[package])


def available(package: str) -> list[str]:
    """Names of the components in a package, found by their files, without importing them."""
    folder = ROOT / package
    return sorted(
        ".".join(file.relative_to(folder).with_suffix("").parts)
        for file in folder.rglob("*.py")
        if f"\nclass {CLASS[package]}" in file.read_text()
    )


def build(package: str, config: Mapping[str, Any], **context) -> Any:
    """The component that `config.name` names, its fields set from the rest of `config`.

    `context` holds what the surroundings know (`shape`, `vocab_size`, `dtype`, …): a component takes those that it has
    a field for, and `config` goes before `context`.

    Raises:
      LookupFailed: no such component, a field that it does not have, or a required field that nothing sets.
    """
    if "name" not in config:
        raise LookupFailed(
            f"{package}: expected a field `name`, got {dict(config)}; there are: " + ", ".join(available(package))
        )
    cls = find(package, config["name"])
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init and f.name not in ("parent", "name")}
    given = {key: value for key, value in config.items() if key != "name"}
    where = f"{package}/{config['name']}"
    if unknown := sorted(set(given) - set(fields)):
        hint = nearest(unknown[0], fields)
        raise LookupFailed(f"{where}: has no field {unknown[0]!r}; {hint}its fields are: {', '.join(sorted(fields))}")
    given = {key: value for key, value in context.items() if key in fields} | given
    for key, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and key not in given:
            raise LookupFailed(f"{where}: field {key!r} has no default and the config does not set it")
    return cls(**given)


def nearest(name: Any, known: Iterable[str]) -> str:
    """For an error about an unknown name: which of the known ones was probably meant, or nothing."""
    near = difflib.get_close_matches(str(name), list(known), 1)
    return f"did you mean {near[0]!r}? " if near else ""
