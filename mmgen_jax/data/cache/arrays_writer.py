"""The writing half of `arrays`: .npy files that grow example by example."""

from __future__ import annotations

import pathlib
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mmgen_jax.errors import InputError

Values = np.ndarray | Sequence[np.ndarray] | Sequence[str]


def file_name(field: str, suffix: str = "") -> str:
    """The .npy file of a field; characters that no file name may have are percent-encoded."""
    return urllib.parse.quote(field, safe="") + suffix + ".npy"


class Writer:
    """Writes examples to a directory, in chunks of any size. `attributes` is a dict of JSON values about the set."""

    def __init__(self, directory: pathlib.Path):
        self.attributes: dict[str, Any] = {}
        self._directory = directory
        self._forms: dict[str, str] = {}
        self._files: dict[str, _GrowingFile] = {}

    def extend(self, fields: Mapping[str, Values]) -> None:
        """Appends n examples.

        Args:
          fields: for each field, an array `[n, ...]` where all examples share one shape, or a list of n arrays (a
            ragged field) or of n strings.

        Raises:
          InputError: a field changes its form, dtype or shape.
        """
        for name, values in fields.items():
            if not len(values):
                continue
            form = "array" if isinstance(values, np.ndarray) else "text" if isinstance(values[0], str) else "ragged"
            if self._forms.setdefault(name, form) != form:
                raise InputError(f"field {name!r}: expected {self._forms[name]} values as before, got {form}")
            if isinstance(values, np.ndarray):
                self._append(file_name(name), values)
                continue
            if form == "text":
                values = [np.frombuffer(text.encode("utf-8"), np.uint8) for text in map(str, values)]
            if file_name(name) not in self._files:
                self._append(file_name(name, ".offsets"), np.zeros(1, np.int64))
            for value in map(np.asarray, values):
                self._append(file_name(name), value)
                self._append(file_name(name, ".offsets"), np.array([self._files[file_name(name)].length]))

    def _append(self, file: str, values: np.ndarray) -> None:
        if file not in self._files:
            self._files[file] = _GrowingFile(self._directory / file, values)
        self._files[file].append(values)

    def close(self) -> dict:
        """Finishes the files; returns the part of meta.json that describes them.

        Raises:
          InputError: no example, or fields with different numbers of examples.
        """
        counts, fields = {}, {}
        for name, form in self._forms.items():
            file = self._files[file_name(name)]
            counts[name] = file.length if form == "array" else self._files[file_name(name, ".offsets")].length - 1
            fields[name] = {"kind": form, "dtype": file.dtype.str, "shape": list(file.shape)}
        if len(set(counts.values())) != 1:
            raise InputError(f"expected one count of examples for every field and at least one example, got {counts}")
        for file in self._files.values():
            file.close()
        return {"count": next(iter(counts.values())), "fields": fields, "attributes": self.attributes}

    def abandon(self) -> None:
        """Closes the files without finishing them."""
        for file in self._files.values():
            file.handle.close()


class _GrowingFile:
    """A .npy file that grows along its first axis. At the end, its header is overwritten with the final length."""

    def __init__(self, path: pathlib.Path, example: np.ndarray):
        self.path, self.dtype, self.shape, self.length = path, example.dtype, example.shape[1:], 0
        if example.dtype.hasobject:
            raise InputError(f"{path.name}: expected numbers, got dtype {example.dtype}")
        self.handle = path.open("wb")
        self._write_header()
        self.start = self.handle.tell()

    def _write_header(self) -> None:
        descr = np.lib.format.dtype_to_descr(self.dtype)
        header = {"descr": descr, "fortran_order": False, "shape": (self.length, *self.shape)}
        np.lib.format.write_array_header_1_0(self.handle, header)

    def append(self, values: np.ndarray) -> None:
        if values.dtype != self.dtype or values.shape[1:] != self.shape:
            raise InputError(
                f"{self.path.name}: expected {self.dtype} of shape {['n', *self.shape]} as before, got {values.dtype} "
                f"{list(values.shape)}"
            )
        self.handle.write(np.ascontiguousarray(values).data)
        self.length += len(values)

    def close(self) -> None:
        self.handle.seek(0)
        self._write_header()
        if self.handle.tell() != self.start:
            raise InputError(f"{self.path}: this NumPy leaves no room in the header for the final length")
        self.handle.close()
