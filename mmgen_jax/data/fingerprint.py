"""Fingerprints of data sets. A run keeps the fingerprint of its data, and refuses to read data that has changed since.

A source may have a method `fingerprint() -> str`. The fingerprint covers the examples of all splits, the split of each
example, and the fields that say how examples are read; it does not depend on the place of the files. For a source
without this method, the fingerprint covers length, fields and modalities, and the files that a field names.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pathlib
from typing import Any

from mmgen_jax.modalities.modality import modalities_to_json

DIGITS = 12
BLOCK = 4096  # bytes; of a file in a compressed format three blocks are read
# In an uncompressed format, an edit may change only a few bytes: files of these formats are read whole.
UNCOMPRESSED = frozenset({".wav", ".aif", ".aiff", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".npy"})
LEFT_OUT = {"split", "names", "label_preserving"}  # fields that change nothing of the data


def of(source: Any) -> str:
    """The first DIGITS hexadecimal digits of a SHA-256 of a source's data, shapes and vocabularies.

    Args:
      source: the split that a run trains on, with the run's own modalities.
    """
    return of_run(source)[0]


def of_run(source: Any) -> tuple[str, str]:
    """The fingerprint of `of`, and a fingerprint that is the same for other `names` of the same data."""
    source = getattr(source, "whole", source)  # of a part (`data.subset`), the whole source
    own = source.fingerprint() if hasattr(source, "fingerprint") else _fields(source)
    module = type(source).__module__
    content = [module, len(source), modalities_to_json(source.modalities), own]
    return digest(content)[:DIGITS], digest([module, own])[:DIGITS]


def digest(content: Any) -> str:
    """The SHA-256 of JSON values."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode("utf-8", "replace")).hexdigest()


def of_file(path: str | os.PathLike) -> list[Any]:
    """Size of a file, and a digest of its first, middle and last BLOCK bytes, or of all of an UNCOMPRESSED file.

    [] for a file that cannot be read.
    """
    hashed = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if pathlib.Path(path).suffix.lower() in UNCOMPRESSED:
                return [size, hashlib.file_digest(file, "sha256").hexdigest()]
            for start in (0, (size - BLOCK) // 2, size - BLOCK):
                file.seek(max(start, 0))
                hashed.update(file.read(BLOCK))
    except OSError:
        return []
    return [size, hashed.hexdigest()]


def of_files(place: str | os.PathLike) -> Any:
    """A file, or every file below a folder by its relative name; the name of `place` itself does not count."""
    root = pathlib.Path(place)
    if not root.is_dir():
        return of_file(root)
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return [[path.relative_to(root).as_posix(), *of_file(path)] for path in files]


def _fields(source: Any) -> dict[str, Any]:
    """The fields that differ from their defaults; a field that names a file or folder counts by the content there."""
    if not dataclasses.is_dataclass(source):
        return {}
    found = {}
    for field in dataclasses.fields(source):
        value = getattr(source, field.name)
        if field.name in LEFT_OUT or not field.init or value == field.default:
            continue
        place = os.path.expanduser(value) if isinstance(value, str) else ""
        found[field.name] = of_files(place) if place and os.path.exists(place) else value
    if (version := getattr(source, "version", 1)) > 1:
        found["version"] = version
    if (root := getattr(source, "root", None)) and "directory" not in found:  # a set in $MMGEN_DATA
        found["directory"] = of_files(root)
    return found
