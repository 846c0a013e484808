"""Ranges of numbers, declared as the types of a component's fields and checked where a config builds it.

class Fusion(nn.Module):
    features: Size = 64
    dropout: Rate = 0.0
"""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import inspect
import math
import numbers
import sys
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any

from mmgen_jax.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class Range:
    """From `low` to `high`; both ends are included, unless `above` excludes the low end or `below` the high end."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    below: bool = False

    def __contains__(self, value: Any) -> bool:
        if not math.isfinite(value):
            return False
        return (self.low < value if self.above else self.low <= value) and (
            value < self.high if self.below else value <= self.high
        )

    def __str__(self) -> str:
        low = f"{'above' if self.above else 'at least'} {self.low:,}" if self.low > -math.inf else ""
        high = f"{'below' if self.below else 'at most'} {self.high:,}" if self.high < math.inf else ""
        return " and ".join(filter(None, (low, high))) or "finite"


MAX_SIZE, MAX_INT = 2**20, 2**31 - 1

Size = Annotated[int, Range(1, MAX_SIZE)]  # a width, a length, or a number of items in one step
Count = Annotated[int, Range(0, MAX_SIZE)]  # the same, where 0 is none or a default
Side = Annotated[int, Range(1, 4096)]  # pixels
Sides = Annotated[int, Range(0, 4096)]  # the same, where 0 keeps the size
Depth = Annotated[int, Range(1, 256)]  # unrolled layers
Depths = Annotated[int, Range(0, 256)]  # the same, where 0 is none
Bands = Annotated[int, Range(0, 1024)]  # of a spectrum; 0 is a default
Amount = Annotated[int, Range(1, MAX_INT)]  # examples
Steps = Annotated[int, Range(0, MAX_INT)]
Interval = Annotated[int, Range(1, MAX_INT)]
Place = Annotated[int, Range(0, MAX_INT)]  # of an example in a sequence of examples
Seed = Annotated[int, Range(0, 2**32 - 1)]
Real = Annotated[float, Range()]
Positive = Annotated[float, Range(0, above=True)]
NotNegative = Annotated[float, Range(0)]
Rate = Annotated[float, Range(0, 1, below=True)]
Share = Annotated[float, Range(0, 1)]
TopShare = Annotated[float, Range(0, 1, above=True)]
Seconds = Annotated[float, Range(0, 3600, above=True)]

NOUNS = {int: "a whole number", float: "a number", bool: "True or False", str: "a text"}


def check(cls: type, values: Mapping[str, Any], where: str) -> None:
    """Checks values of a class's fields against the fields' types.

    Raises:
      ConfigError: a value of another type or out of range; the message begins with `where` and the field.
    """
    for name, value in values.items():
        check_value(annotation(cls, name), value, f"{where}.{name}")


def check_value(annotation: Any, value: Any, where: str) -> None:
    """Checks one value likewise; only numbers, texts and groups of these are checked, other types are accepted."""
    if problem := _problem(annotation, value):
        raise ConfigError(f"{where}: expected {problem}, got {value!r}")


def _problem(annotation: Any, value: Any) -> str:
    """The expected value in words; "" where the value is as expected."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        ranges = [part for part in arguments[1:] if isinstance(part, Range)]
        fits = not _problem(arguments[0], value) and all(value in part for part in ranges)
        return "" if fits else ", ".join([NOUNS.get(arguments[0], str(arguments[0])), *map(str, ranges)])
    if origin in (typing.Union, types.UnionType):
        problems = [_problem(argument, value) for argument in arguments]
        return "" if not all(problems) else " or ".join(dict.fromkeys(problems))
    if origin is tuple:
        return _sequence_problem(arguments, value)
    if origin is collections.abc.Mapping and len(arguments) == 2:
        if not hasattr(value, "items"):
            return "a group of fields"
        return next((problem for part in value.values() if (problem := _problem(arguments[1], part))), "")
    if origin is typing.Literal:
        return "" if value in arguments else f"one of {', '.join(map(str, arguments))}"
    if annotation is type(None):
        return "" if value is None else "None"
    if annotation in NOUNS:
        return "" if _is_a(annotation, value) else NOUNS[annotation]
    return ""


def _sequence_problem(arguments: tuple[Any, ...], value: Any) -> str:
    if not isinstance(value, (tuple, list)):
        return "a tuple"
    if len(arguments) == 2 and arguments[1] is ...:
        if not value and typing.get_origin(arguments[0]) is Annotated:
            return "at least one number"
        arguments = arguments[:1] * len(value)
    if len(value) != len(arguments):
        return f"{len(arguments)} values"
    problems = (_problem(argument, part) for argument, part in zip(arguments, value))
    return next((f"of each value {problem}" for problem in problems if problem), "")


def _is_a(expected: type, value: Any) -> bool:
    if expected is bool or isinstance(value, bool):
        return expected is bool and isinstance(value, bool)
    return isinstance(value, {int: numbers.Integral, float: numbers.Real}.get(expected, expected))


@functools.cache
def annotation(cls: type, name: str) -> Any:
    """The type of a field, read in the module of the class that declares it; None where it cannot be read there.

    `typing.get_type_hints` is not used: it fails for all fields where one type is imported for the type checker only.
    """
    for base in cls.__mro__:
        written = inspect.get_annotations(base).get(name)
        if written is None:
            continue
        if not isinstance(written, str):
            return written
        try:
            return eval(written, vars(sys.modules[base.__module__]))
        except (NameError, AttributeError, TypeError):
            return None
    return None
