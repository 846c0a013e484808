"""What a user gives for the modalities of a model, as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmgen_jax.errors import ConfigError
from mmgen_jax.lookup import nearest
from mmgen_jax.modalities.modality import Modality


def named(
    given: Mapping[str, Any], by_kind: Mapping[str, Any], names: Sequence[str], modalities: Mapping[str, Modality]
) -> dict[str, Any]:
    """`{name: value}` of what is given by name and, for the one modality of `names` that is of a kind, by kind.

    Raises:
      ConfigError: none or several of `names` are of a kind, or one is given twice.
    """
    values = dict(given)
    for kind, value in by_kind.items():
        matching = [name for name in names if modalities[name].kind == kind]
        if len(matching) != 1:
            advice = ", ".join(f"--given.{name}=…" for name in matching or names)
            raise ConfigError(
                f"--{kind}: the model has {len(matching)} conditions of that kind; it has: {_listed(names, modalities)}"
                + (f"; name one: {advice}" if advice else "")
            )
        if matching[0] in values:
            raise ConfigError(f"--{kind}: --given.{matching[0]} gives the same one; give it once")
        values[matching[0]] = value
    return values


def read_given(
    given: Mapping[str, Any], names: Sequence[str], modalities: Mapping[str, Modality]
) -> dict[str, np.ndarray]:
    """What is given for a model that reads `names`: `{name: array [n, *shape]}`, n for texts of a file, else 1.

    Args:
      given: `{name: value}`: a text or `@file` with one a line, a class or its number, the name of a file.

    Raises:
      ConfigError: the model reads no modality of a name; a class that there is not.
      TextError, DataError: what is given cannot be read.
    """
    for name in given:
        if name not in names:
            raise ConfigError(
                f"--given.{name}: the model has no such condition; {nearest(name, names)}it has: "
                + _listed(names, modalities)
            )
    return {name: np.stack(modalities[name].traits.read_given(value, name)) for name, value in given.items()}


def _listed(names: Sequence[str], modalities: Mapping[str, Modality]) -> str:
    return ", ".join(f"{name} ({modalities[name].kind})" for name in names) or "none"
