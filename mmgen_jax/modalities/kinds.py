"""Kinds by name: class `Kind` of a file of this folder, see `contracts.Kind`. A new kind is one new file."""

from __future__ import annotations

import functools
import pathlib

from mmgen_jax import lookup, modalities


def find(name: str) -> type:
    """The class of a kind.

    Raises:
      LookupFailed: there is no such kind; the message lists those that there are.
    """
    return _find(name, tuple(modalities.__path__))


def names() -> list[str]:
    return list(_names(tuple(modalities.__path__)))


def of_file(path) -> str | None:
    """The kind of a file by its suffix, in either case; None for a suffix that no kind has."""
    suffix = pathlib.Path(path).suffix.lower()
    return next((name for name in names() if suffix in find(name).suffixes), None)


# Keyed by the folders as well, so that a folder that is added to `__path__` is seen.
@functools.cache
def _find(name: str, folders: tuple[str, ...]) -> type:
    return lookup.find("modalities", name)


@functools.cache
def _names(folders: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(lookup.available("modalities"))
