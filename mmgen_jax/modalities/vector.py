"""The kind `vector`: `[D]` or `[T, D]` float32, any finite values: embeddings, trajectories, rows of a table."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from mmgen_jax.errors import DataError
from mmgen_jax.modalities import base, containers
from mmgen_jax.modalities.lines import save_lines
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.space import Continuous

MAX_VALUES = 2**24  # of one example, 64 MiB
MAX_SHOWN = 8  # values of an example in the text file of samples
ONE_SHAPE = "give every example of the modality one shape, or leave this one out"


@dataclasses.dataclass(frozen=True)
class Kind(base.Base):
    """Files: `.npy`; or a list of numbers in a line of a manifest, under any name.

    Samples: `<step>_<name>.npy`, all samples as one array `[B, *shape]`; and `<step>_<name>.txt`, one line per sample
    with its smallest, largest and mean value and its first values. Values are neither scaled nor clipped: prepare data
    with about unit variance.
    """

    ranks: ClassVar[tuple[int, ...]] = (1, 2)
    suffixes: ClassVar[tuple[str, ...]] = (".npy",)
    inline: ClassVar[type | None] = list
    any_name: ClassVar[bool] = True

    @classmethod
    def of_folder(cls, fields, entries: base.Entries) -> Modality:
        """The modality with the shape of the first readable entry; all other entries must have the same shape."""
        for path, value in entries:
            try:
                array = load(path) if value is None else _numbers(value, path, "vector")
                return Modality("vector", array.shape)
            except DataError:  # reported when this entry is read as an example
                continue
        return Modality("vector", (1,))

    @classmethod
    def check_header(cls, path, name: str) -> None:
        load(path, name, values=False)

    @property
    def space(self) -> Continuous:
        return Continuous(self.modality.shape, bounded=False)

    def read_file(self, path, name: str) -> np.ndarray:
        return self._fitting(load(path, name), path, name)

    def read_inline(self, value: list, where: str, name: str) -> np.ndarray:
        return self._fitting(_numbers(value, where, name), where, name)

    def read_given(self, value: Any, name: str) -> list[np.ndarray]:
        """Numbers (`3.5`, `[1, 2]`, `1 2`) or the name of a `.npy` file."""
        if isinstance(value, str):
            with contextlib.suppress(ValueError):
                is_list = value.lstrip().startswith("[")
                value = json.loads(value) if is_list else [float(word) for word in re.split(r"[\s,]+", value.strip())]
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            value = [value]
        if isinstance(value, list):
            return [self._fitting(_numbers(value, f"--given.{name}", name), f"--given.{name}", name)]
        return super().read_given(value, name)

    def _fitting(self, values: np.ndarray, path, name: str) -> np.ndarray:
        if values.shape != tuple(self.modality.shape):
            raise DataError(path, name, "shape", list(self.modality.shape), list(values.shape), ONE_SHAPE)
        return values

    def save(
        self, stem: pathlib.Path, name: str, samples: np.ndarray, captions: Sequence[str], seen: Mapping[str, Any]
    ) -> list[pathlib.Path]:
        path = stem.with_name(stem.name + ".npy")
        np.save(path, samples, allow_pickle=False)
        return [path, *save_lines(stem, list(map(_line, samples)), captions, seen)]


def load(path, name: str = "vector", values: bool = True) -> np.ndarray:
    """The array `[D]` or `[T, D]`, float32, of a `.npy` file of integers or floats.

    Args:
      values: False reads only the header and returns zeros of the right shape, for cheap checks.

    Raises:
      DataError: the file is unreadable, of another format or truncated; the array has other axes or types, no values or
        more than `MAX_VALUES`, or a value that is not finite in float32.
    """
    containers.check(path, name)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)  # refuses to map a truncated file
    except (OSError, ValueError, EOFError) as error:
        raise base.undecodable(path, name, "a whole .npy file of numbers", error) from error
    if not isinstance(array, np.ndarray):  # an .npz under another name
        array.close()
        raise DataError(path, name, "format", "one array", "an archive of arrays", "save each by numpy.save")
    return _checked(array, path, name) if values else np.zeros(_checked_shape(array, path, name), np.float32)


def _numbers(value: list, where, name: str) -> np.ndarray:
    """The array of a list of numbers, or of a list of equally long lists of numbers; raises DataError as `load`."""
    try:
        array = np.array(value)
    except ValueError:
        expected, got = "numbers, or lists of them of one length", f"{str(value)[:40]}"
        raise DataError(where, name, "value", expected, got, "mend the line") from None
    return _checked(array, where, name)


def _checked_shape(array: np.ndarray, path, name: str) -> tuple[int, ...]:
    if array.dtype.kind not in "iuf":
        raise DataError(path, name, "dtype", "integers or floats", array.dtype, "write numbers")
    if array.ndim not in Kind.ranks:
        raise DataError(path, name, "shape", "[D] or [T, D]", list(array.shape), "reshape it")
    if not 0 < array.size <= MAX_VALUES:
        raise DataError(path, name, "size", f"1 to {MAX_VALUES} values", array.size, "cut it or leave it out")
    return array.shape


def _checked(array: np.ndarray, path, name: str) -> np.ndarray:
    _checked_shape(array, path, name)
    with np.errstate(over="ignore"):
        values = np.array(array, np.float32)
    if not (finite := np.isfinite(values)).all():
        at = [int(i) for i in np.argwhere(~finite)[0]]
        raise DataError(
            path, name, "range", "finite values in float32", f"{array[tuple(at)]} at {at}", "mend it or leave it out"
        )
    return values


def _line(values: np.ndarray) -> str:
    first = " ".join(f"{value:.4g}" for value in values.flat[:MAX_SHOWN])
    more = f" … ({values.size} values)" if values.size > MAX_SHOWN else ""
    return f"{values.min():.4g} to {values.max():.4g}, mean {values.mean():.4g}: {first}{more}"
