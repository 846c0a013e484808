"""A component's name is its module path: `fusion`, `film` give `mmgen_jax/networks/fusion/film.py`."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import pathlib
import re
from collections.abc import Iterable
from typing import Any

from mmgen_jax.errors import LookupFailed

# The folder of each kind of component, and the class that every module there defines.
PACKAGES = {
    "data": ("mmgen_jax.data", "Source"),
    "modalities": ("mmgen_jax.modalities", "Kind"),
    "encoders": ("mmgen_jax.networks.encoders", "Encoder"),
    "fusion": ("mmgen_jax.networks.fusion", "Fusion"),
    "generators": ("mmgen_jax.networks.generators", "Generator"),
    "discriminators": ("mmgen_jax.networks.discriminators", "Discriminator"),
    "representations": ("mmgen_jax.representations", "Representation"),
    "objectives": ("mmgen_jax.objectives", "Objective"),
    "evaluators": ("mmgen_jax.evaluators", "Evaluator"),
    "judges": ("mmgen_jax.evaluators.judges", "Network"),  # each named by the kind that it judges
    "baselines": ("mmgen_jax.baselines", "Baseline"),
}


def find(package: str, name: str) -> type:
    """The class of component `name`.

    Raises:
      LookupFailed: there is no such module; the message lists the ones there are.
    """
    module, cls = PACKAGES[package]
    if name not in available(package):
        raise LookupFailed(
            f"{package}: {name!r} does not exist (no {module.replace('.', '/')}/{str(name).replace('.', '/')}.py); "
            f"{nearest(name, available(package))}there are: {', '.join(available(package))}"
        )
    return getattr(importlib.import_module(f"{module}.{name}"), cls)


def available(package: str) -> list[str]:
    """Names of a package's components, found by their files on its `__path__`; none of them is imported."""
    module, cls = PACKAGES[package]
    defines = re.compile(rf"^class {cls}\b", re.MULTILINE)
    names = []
    for folder in map(pathlib.Path, importlib.import_module(module).__path__):
        files = (file for file in folder.rglob("*.py") if defines.search(file.read_text(encoding="utf-8")))
        names += [".".join(file.relative_to(folder).with_suffix("").parts) for file in files]
    return sorted(names)


def build(package: str, config: Any, **context) -> Any:
    """The component that `config.name` names, its fields set from the rest of `config`, a mapping or `ConfigDict`.

    `context` holds what the surroundings know (`shape`, `vocab_size`, `dtype`, …): a component takes those that it has
    a field for, and `config` goes before `context`.

    Raises:
      LookupFailed: no such component, a field that it does not have, or a required field that nothing sets.
    """
    is_group = hasattr(config, "keys")
    if not is_group or "name" not in config:
        got = dict(config) if is_group else f"{config!r}, no group of fields"
        known = ", ".join(available(package))
        raise LookupFailed(f"{package}: expected a field `name`, got {got}; there are: {known}")
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
