"""A component's name is its module path: `fusion`, `film` give `mmgen_jax/networks/fusion/film.py`.

A component of another package is named by the whole path of its module, `my_package.my_fusion`; the module defines a
class of the same name (`Fusion`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import importlib
import importlib.util
import os
import pathlib
import re
from collections.abc import Iterable
from typing import Any

from mmgen_jax.config import ranges
from mmgen_jax.errors import LookupFailed

# {kind of component: (its folder, the class that every module in the folder defines)}
PACKAGES = {
    "data": ("mmgen_jax.data", "Source"),
    "transforms": ("mmgen_jax.data.transforms", "Transform"),
    "modalities": ("mmgen_jax.modalities", "Kind"),
    "encoders": ("mmgen_jax.networks.encoders", "Encoder"),
    "fusion": ("mmgen_jax.networks.fusion", "Fusion"),
    "generators": ("mmgen_jax.networks.generators", "Generator"),
    "discriminators": ("mmgen_jax.networks.discriminators", "Discriminator"),
    "representations": ("mmgen_jax.representations", "Representation"),
    "objectives": ("mmgen_jax.objectives", "Objective"),
    "evaluators": ("mmgen_jax.evaluators", "Evaluator"),
    "judges": ("mmgen_jax.evaluators.judges", "Network"),  # a judge has the name of the kind of data that it judges
    "baselines": ("mmgen_jax.baselines", "Baseline"),
}
BY_KIND = ("modalities", "judges")  # named by a kind, which is no path
ELSEWHERE = (
    "a module of your own is named by its dotted path, my_package.my_name for my_package/my_name.py, and has to be "
    "importable from where the command runs; "
)


def find(package: str, name: str) -> type:
    """The class of component `name`.

    Raises:
      LookupFailed: there is no such module (the message lists the modules of the package); or a module of another
        package cannot be imported, or does not define the class as a dataclass.
    """
    module, cls = PACKAGES[package]
    if not _is_here(package, name):
        if _is_elsewhere(name):
            return _from_elsewhere(package, name, cls)
        parts = str(name).split(".")
        lacking = f", and no package {parts[0]!r} can be imported from here" if len(parts) > 1 else ""
        known, advice = available(package), "" if package in BY_KIND else ELSEWHERE
        raise LookupFailed(
            f"{package}: {name!r} does not exist (no {module.replace('.', '/')}/{'/'.join(parts)}.py{lacking}); "
            f"{nearest(name, known)}{advice}there are: {', '.join(known)}"
        )
    return getattr(importlib.import_module(f"{module}.{name}"), cls)


def _is_here(package: str, name: Any) -> bool:
    """Whether `name` is one of `available(package)`; reads one file where `available` reads all."""
    if not isinstance(name, str) or not all(map(str.isidentifier, name.split("."))):
        return False
    folders = map(pathlib.Path, importlib.import_module(PACKAGES[package][0]).__path__)
    files = [folder.joinpath(*name.split(".")).with_suffix(".py") for folder in folders]
    with contextlib.suppress(OSError):  # no such folder, or too long a name
        return any(_defines(file, package) for file in files if file.name in os.listdir(file.parent))
    return False


def _defines(file: pathlib.Path, package: str) -> bool:
    return re.search(rf"^class {PACKAGES[package][1]}\b", file.read_text(encoding="utf-8"), re.MULTILINE) is not None


def _is_elsewhere(name: Any) -> bool:
    """Whether a name is the path of a module in a package that can be imported."""
    parts = name.split(".") if isinstance(name, str) else []
    return len(parts) > 1 and all(map(str.isidentifier, parts)) and importlib.util.find_spec(parts[0]) is not None


def _from_elsewhere(package: str, name: str, cls: str) -> type:
    try:
        found = getattr(importlib.import_module(name), cls, None)
    except Exception as error:  # whatever the module's own code raises
        got = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise LookupFailed(f"{package}: cannot import {name!r} ({got}); mend the module or the name") from error
    if not (dataclasses.is_dataclass(found) and isinstance(found, type)):
        got = "no such class" if found is None else f"a {type(found).__name__} that is no dataclass"
        raise LookupFailed(f"{package}: {name!r}: expected a dataclass {cls} in the module, got {got}")
    return found


def available(package: str) -> list[str]:
    """Sorted names of the components on the package's `__path__`, found by searching its files, without an import."""
    names = []
    for folder in map(pathlib.Path, importlib.import_module(PACKAGES[package][0]).__path__):
        files = (file for file in folder.rglob("*.py") if _defines(file, package))
        names += [".".join(file.relative_to(folder).with_suffix("").parts) for file in files]
    return sorted(names)


def build(package: str, config: Any, where: str = "", /, **context) -> Any:
    """Builds the component `config.name`, with the other entries of `config` (a mapping or `ConfigDict`) as its fields.

    Args:
      context: values that the caller knows (`shape`, `vocab_size`, `dtype`, …). Each sets the component's field of the
        same name, unless there is no such field or `config` sets it.
      where: the place of the config, for messages about its values: `config.encoders.text`.

    Raises:
      LookupFailed: no such component, an entry of `config` that is no field, or a required field that nothing sets.
      ConfigError: a value that is not of the field's type, or out of its range.
    """
    cls, given = checked(package, config, where)
    fields = {field.name: field for field in settable(cls)}
    given = {key: value for key, value in context.items() if key in fields} | given
    for key, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and key not in given:
            component = f"{package}/{config['name']}"
            raise LookupFailed(f"{component}: field {key!r} has no default and the config does not set it")
    return cls(**given)


def checked(package: str, config: Any, where: str = "") -> tuple[type, dict[str, Any]]:
    """`(class, fields that the config sets)` of a component, before it is built; arguments and errors of `build`."""
    is_group = hasattr(config, "keys")
    if not is_group or "name" not in config:
        got = dict(config) if is_group else f"{config!r}, no group of fields"
        known = ", ".join(available(package))
        raise LookupFailed(f"{package}: expected a field `name`, got {got}; there are: {known}")
    cls = find(package, config["name"])
    fields = [field.name for field in settable(cls)]
    given = {key: value for key, value in config.items() if key != "name"}
    component = f"{package}/{config['name']}"
    if unknown := sorted(set(given) - set(fields)):
        hint, known = nearest(unknown[0], fields), ", ".join(sorted(fields))
        raise LookupFailed(f"{component}: has no field {unknown[0]!r}; {hint}its fields are: {known}")
    ranges.check(cls, given, where or component)
    return cls, given


def settable(cls: type) -> list[dataclasses.Field]:
    """The fields of a component that a config or its surroundings set; flax adds `parent` and `name` to a module."""
    return [field for field in dataclasses.fields(cls) if field.init and field.name not in ("parent", "name")]


def nearest(name: Any, known: Iterable[str]) -> str:
    """`did you mean 'x'? ` with the known name that is nearest to an unknown `name`; "" where none is near."""
    near = difflib.get_close_matches(str(name), list(known), 1)
    return f"did you mean {near[0]!r}? " if near else ""
