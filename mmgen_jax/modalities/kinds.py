"""Looks kinds up by name. A kind is a file of this folder with a class `Kind` (`contracts.Kind`); a new kind is one new
file."""

from __future__ import annotations

import functools
import pathlib

from mmgen_jax import lookup, modalities


def find(name: str) -> type:
    """The class `Kind` of the kind `name`.

    Raises:
      LookupFailed: there is no such kind; the message lists the kinds.
    """
    return _find(name, tuple(modalities.__path__))


def names() -> list[str]:
    """The names of all kinds."""
    return list(_names(tuple(modalities.__path__)))


def of_file(path) -> str | None:
    """The kind of a file by its suffix (`.png` or `.PNG`); None for a suffix that no kind has."""
    suffix = pathlib.Path(path).suffix.lower()
    return next((name for name in names() if suffix in find(name).suffixes), None)


def of_content(path) -> str | None:
    """As `of_file`; where several kinds share the file's suffix, its content decides."""
    kind = of_file(path)
    return find(kind).kind_of(path) if kind else None


# Keyed by the folders as well, so that a folder that is added to `__path__` is seen.
@functools.cache
def _find(name: str, folders: tuple[str, ...]) -> type:
    return lookup.find("modalities", name)


@functools.cache
def _names(folders: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(lookup.available("modalities"))
