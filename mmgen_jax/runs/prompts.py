"""Reads the values that a user gives for the modalities of a model, as arrays."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmgen_jax.errors import ConfigError, InputError
from mmgen_jax.lookup import nearest
from mmgen_jax.modalities.modality import Modality, check_batch
from mmgen_jax.modalities.text import prompts


def named(
    given: Mapping[str, Any],
    by_kind: Mapping[str, Any],
    names: Sequence[str],
    modalities: Mapping[str, Modality],
    others: Sequence[str] = (),
) -> dict[str, Any]:
    """`{name: value}` of the values that are given by name or by kind.

    A value given by kind is for the only modality of this kind in `names`, or where `names` has none, in `others`.

    Raises:
      ConfigError: `names` has none or several modalities of a kind, or a modality is given twice.
    """
    values = dict(given)
    for kind, value in by_kind.items():
        matching = [name for name in names if modalities[name].kind == kind]
        matching = matching or [name for name in others if modalities[name].kind == kind]
        if len(matching) != 1:
            advice = ", ".join(f"--given.{name}=…" for name in matching or (*names, *others))
            raise ConfigError(
                f"--{kind}: the model has {len(matching)} conditions of that kind; it has: "
                + _listed((*names, *others), modalities)
                + (f"; name one: {advice}" if advice else "")
            )
        if matching[0] in values:
            raise ConfigError(f"--{kind}: --given.{matching[0]} gives the same one; give it once")
        values[matching[0]] = value
    return values


def read_given(
    given: Mapping[str, Any], names: Sequence[str], modalities: Mapping[str, Modality]
) -> dict[str, np.ndarray]:
    """The given values as `{name: array [n, *shape]}`, with n examples in a file, a list or an array, else 1.

    Args:
      given: `{name: value}`: a text, a class or its number, the name of a file; `@file` with one of these a line; a
        list of these; or an array `[*shape]` or `[n, *shape]` as the model reads it.
      names: the modalities that the model reads.

    Raises:
      ConfigError: a name is not in `names`, or a class does not exist.
      TextError, DataError, BatchError, InputError: a value cannot be read.
    """
    check_names(given, names, modalities)
    return {name: _read(value, name, modalities[name]) for name, value in given.items()}


def check_names(given: Mapping[str, Any], names: Sequence[str], modalities: Mapping[str, Modality]) -> None:
    """Raises ConfigError where `given` has a modality that is not in `names`, those that the model reads."""
    for name in given:
        if name not in names:
            raise ConfigError(
                f"--given.{name}: the model has no such condition; {nearest(name, names)}it has: "
                + _listed(names, modalities)
            )


def lines_of(value: Any, name: str) -> list[Any]:
    """The lines of the file for a value `@file`, the values of a list, else a list with the value alone."""
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, str) and value.startswith("@"):
        return [line for _, line in prompts(value[1:], name)]
    return [value]


def is_file(value: Any) -> bool:
    """Whether a value names a file, or is a list of such values."""
    values = value if isinstance(value, (list, tuple)) and value else [value]
    return all(isinstance(one, (str, os.PathLike)) for one in values)


def common_length(rows: Mapping[str, Any]) -> int:
    """The largest length in `rows`, 1 for no rows; raises ConfigError where a length is neither 1 nor the largest."""
    sizes = {name: len(values) for name, values in rows.items()}
    size = max(sizes.values(), default=1)
    if odd := [name for name in sizes if sizes[name] not in (1, size)]:
        got, name = sizes[odd[0]], odd[0]
        raise ConfigError(
            f"--given.{name}: expected one or {size}, as others have, got {got}; give files or lists of equal length"
        )
    return size


def _read(value: Any, name: str, modality: Modality) -> np.ndarray:
    """`[n, *shape]`"""
    if isinstance(value, np.generic):  # a NumPy scalar
        value = value.item()
    if hasattr(value, "ndim"):
        array = np.asarray(value)
        array = array[None] if array.ndim == len(modality.shape) else array
        check_batch({name: array}, {name: modality})
        return array
    if isinstance(value, str) and value.startswith("@") and not modality.traits.has_vocabulary:
        return np.concatenate([_read(line, name, modality) for line in lines_of(value, name)])
    if isinstance(value, (list, tuple)) and value and _is_one(value, modality):
        return _read(np.asarray(value, modality.zeros(1).dtype), name, modality)
    if isinstance(value, (list, tuple)) and value and not any(isinstance(one, (list, tuple)) for one in value):
        return np.concatenate([_read(one, name, modality) for one in value])
    if not isinstance(value, (str, int, float, os.PathLike)):
        got = "an empty list or a list of lists" if isinstance(value, (list, tuple)) else type(value).__name__
        raise InputError(f"{name}: expected a text, a class, a file's name, a list of these or an array, got {got}")
    return np.stack(modality.traits.read_given(value, name))


def _is_one(value: Sequence[Any], modality: Modality) -> bool:
    """Whether a list of numbers, or of lists of numbers, has the shape of one example, as of a vector `[D]`."""
    try:
        array = np.asarray(value)
    except ValueError:  # lists of several lengths
        return False
    return array.dtype.kind in "iuf" and array.shape == tuple(modality.shape) != ()


def _listed(names: Sequence[str], modalities: Mapping[str, Modality]) -> str:
    return ", ".join(f"{name} ({modalities[name].kind})" for name in names) or "none"
