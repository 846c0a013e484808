"""The allowed content of a place in a config: the component there, and its fields with a value of each field's type."""

from __future__ import annotations

import collections.abc
import dataclasses
import types
import typing
from collections.abc import Sequence
from typing import Annotated, Any

from mmgen_jax import lookup
from mmgen_jax.config import ranges, schema
from mmgen_jax.config.schema import Config
from mmgen_jax.data import derived

GROUPED = ("derived", "encoders", "evaluators")  # parts that hold components under names that the user chooses
BY_TYPE = {str: "", int: 0, float: 0.0, bool: False, tuple: (), collections.abc.Sequence: ()}
SIMPLE = (bool, int, float, str, tuple)


def package(path: Sequence[str], node: Config | None = None) -> str | None:
    """The package whose component stands at a place: `("encoders", "text")` is of `encoders`.

    Args:
      node: the group there; a network of one of several targets, `("generator", "image")`, is known by its `name`.
    """
    if path and path[0] == "representation":
        return schema.REPRESENTATION_PACKAGES.get(path[-1], "representations")
    if is_set(path):
        return "data"
    if len(path) == 3 and (path[0], path[2]) == ("evaluators", "evaluator"):
        return "evaluators"  # the evaluator that `subsets` runs
    depth = 2 if path and path[0] in GROUPED else 1
    if path and path[0] in schema.NETWORKS and len(path) == 2:
        return schema.NETWORKS[path[0]] if node is not None and "name" in node else None
    return schema.PACKAGES.get(path[0]) if len(path) == depth else None


def is_set(path: Sequence[str]) -> bool:
    """Whether a place is one of the data sets side by side, `("data", "sets", "photo")` (`data/unpaired.py`)."""
    return tuple(path[:2]) == ("data", "sets") and len(path) == 3


def fields(path: Sequence[str], node: Config) -> dict[str, Any]:
    """`{field: a value of its type}` for the group `node` at `path`; the value is the default, where there is one.

    A field that holds a group has `{}`. Fields that the surroundings fill (a shape, a network) are left out.

    Raises:
      LookupFailed: the component or the optimizer's rule does not exist.
    """
    if not path:
        return {"aligned": ()}
    if tuple(path) in {(part,) for part in schema.OPTIONAL}:
        return dict(schema.OPTIONAL[path[0]])
    if path[0] == "optimizers" and len(path) == 2:
        from mmgen_jax.training import optimizers  # it imports jax, and a command that only reads configs need not

        return optimizers.settable(node.get("name", ""))
    if (kind := package(path, node)) and "name" in node:
        return component(kind, node["name"]) | placed(path)
    return {}


def placed(path: Sequence[str]) -> dict[str, Any]:
    """The fields that a place itself has, whatever the component."""
    if is_set(path):
        return {"of": "", "part": (), "offset": 0}
    own = {
        "encoders": dict(schema.PLACEMENT),
        "fusion": {"modality_dropout": 0.0},
        "generator": {"init_from": ""},
        "derived": dict(derived.PLACEMENT),
        "data": {"fraction": 1.0, "part": ""},
        "representation": {key: {} for key in ("of", *schema.REPRESENTATION_PACKAGES)},
    }
    return own.get(path[0], {})


def component(kind: str, name: str) -> dict[str, Any]:
    """The settable fields of a component.

    Raises:
      LookupFailed: the component does not exist.
    """
    found = {}
    cls = lookup.find(kind, name)
    for field in lookup.settable(cls):
        if (value := _example(cls, field)) is not None:
            found[field.name] = value
    return found


def alternatives(path: Sequence[str], node: Config, field: str) -> tuple[type, ...]:
    """The types of a field that takes one number or several (`float | tuple[float, float]`); () for other fields."""
    if not (kind := package(path, node)) or "name" not in node:
        return ()
    known = ranges.annotation(lookup.find(kind, node["name"]), field)
    if typing.get_origin(known) not in (typing.Union, types.UnionType):
        return ()
    parts = [
        typing.get_args(part)[0] if typing.get_origin(part) is Annotated else part for part in typing.get_args(known)
    ]
    found = [typing.get_origin(part) or part for part in parts]
    return tuple(part for part in found if part in (int, float, tuple))


def _example(cls: type, field: dataclasses.Field) -> Any:
    """A value of the field's type; None for a type that a config does not hold."""
    if isinstance(field.default, SIMPLE):
        return field.default
    if field.default_factory is not dataclasses.MISSING:
        made = field.default_factory()
        return made if isinstance(made, SIMPLE) else {} if isinstance(made, dict) else None
    known = ranges.annotation(cls, field.name)
    if typing.get_origin(known) is types.UnionType:  # `X | None`
        known = next(part for part in typing.get_args(known) if part is not types.NoneType)
    if typing.get_origin(known) is Annotated:
        known = typing.get_args(known)[0]
    return BY_TYPE.get(typing.get_origin(known) or known)
