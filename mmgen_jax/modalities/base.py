"""Defaults for kinds: the base class of every `Kind`. The contract is `contracts.Kind`."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from mmgen_jax.errors import BatchError, DataError, InputError
from mmgen_jax.modalities import containers
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.space import Continuous, Discrete

Entries = Sequence[tuple[pathlib.Path, Any]]  # (file, None), or (place of a manifest's line, the value in the line)


@dataclasses.dataclass(frozen=True)
class Base:
    """The default kind: continuous values, float32 in [-1, 1], not read from files, without augmentation.

    Args:
      modality: the modality that the methods read, check and write.
    """

    modality: Modality

    ranks: ClassVar[tuple[int, ...]]
    dtype: ClassVar[type] = np.float32
    operations: ClassVar[Mapping[str, float]] = {}
    suffixes: ClassVar[tuple[str, ...]] = ()
    tracks: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    inline: ClassVar[type | tuple[type, ...] | None] = None
    any_name: ClassVar[bool] = False
    has_vocabulary: ClassVar[bool] = False
    eight_bits: ClassVar[bool] = False
    is_picture: ClassVar[bool] = False
    binary: ClassVar[bool] = False

    @classmethod
    def kind_of(cls, path) -> str:
        return cls.__module__.rpartition(".")[2]

    @classmethod
    def check_header(cls, path, name: str) -> None:
        containers.check(path, name)

    @classmethod
    def of_array(cls, fields, name: str, values: np.ndarray, about: Mapping[str, Any]) -> tuple[Modality, np.ndarray]:
        """Finite numbers, unchanged."""
        if values.dtype.kind not in "fiu" or values.ndim - 1 not in cls.ranks or 0 in values.shape:
            expected = f"numbers, with {' or '.join(str(rank) for rank in cls.ranks)} axes after the examples'"
            got = f"{values.dtype} {list(values.shape)}"
            raise DataError(fields.file, name, "shape", expected, got, "give it another name or shape")
        values = values.astype(cls.dtype)
        if not np.isfinite(values).all():
            row = int(np.argmin(np.isfinite(values).reshape(len(values), -1).all(1)))
            raise DataError(fields.file, name, "range", "finite values", f"others in example {row}", "mend or mask it")
        return Modality(cls.__module__.rpartition(".")[2], values.shape[1:]), values

    @property
    def space(self) -> Continuous | Discrete:
        return Continuous(self.modality.shape)

    def check(self, name: str, present: np.ndarray) -> None:
        where, space = f"batch[{name!r}].range ({self.modality.kind})", self.space
        if isinstance(space, Discrete):
            low, high = present.min(), present.max()
            if space.size and (low < 0 or high >= space.size):
                raise BatchError(
                    f"{where}: expected ids in [0, {space.size}), got [{low}, {high}]; encode it with the modality's "
                    "own tokenizer or class list"
                )
        elif space.bounded:
            low, high = present.min(), present.max()
            if not (low >= -1.0 and high <= 1.0):  # a NaN fails both
                raise BatchError(
                    f"{where}: expected values in [-1, 1], got [{low:.4g}, {high:.4g}]; scale them where the source "
                    "reads them (pixels: x / 127.5 - 1)"
                )
        elif not (finite := np.isfinite(present)).all():
            got = f"{np.sum(~finite)} of {present.size} that are not, first {present[~finite][0]}"
            raise BatchError(
                f"{where}: expected finite values, got {got}; mend or mask them where the source reads them"
            )

    def describe(self, name: str, value: np.ndarray) -> str:
        return f"[{name}]"

    def frames(self, name: str, values: np.ndarray) -> np.ndarray | None:
        return None

    def save_alone(self, stem: pathlib.Path, name: str, sample: np.ndarray) -> list[pathlib.Path]:
        return []

    def statistics(self) -> Statistics:
        return Statistics(self.modality)

    def read_file(self, path, name: str) -> Any:
        raise DataError(path, name, "kind", "one that is read from files", self.modality.kind, "leave the file out")

    def shortened(self, path, name: str) -> Sequence[str]:
        """How `read_file` cuts or resamples a file, according to the header; each string completes `3 of 8 files …`."""
        return ()

    def read_given(self, value: Any, name: str) -> list[np.ndarray]:
        if not isinstance(value, (str, os.PathLike)):
            raise InputError(f"{name}: expected a file's name or an array, got {value!r}")
        return [self.read_file(pathlib.Path(os.path.expanduser(value)), name)]

    def check_augmentation(self, where: str, operation: str, strength: Any, settings: Mapping[str, Any]) -> None:
        known = self.operations
        if operation not in known:
            raise InputError(
                f"{where}: {self.modality.kind} has no such operation; it has: {', '.join(known) or 'none'}"
            )
        if not isinstance(strength, (int, float)) or not 0 <= strength <= known[operation]:
            raise InputError(f"{where}: expected a strength from 0 to {known[operation]:g}, got {strength!r}")

    def is_blind_to(self, operation: str) -> bool:
        return False

    def augment(self, settings: Mapping[str, Any], example, key):
        return example


class Statistics:
    """Statistics of a modality over all examples that have it: here range and mean of the elements."""

    def __init__(self, modality: Modality):
        self.modality, self.num = modality, 0
        self.low, self.high, self.total = np.inf, -np.inf, 0.0

    def add(self, values: np.ndarray) -> None:
        """Adds the examples `values [N, …]`, N at least 1."""
        self.num += len(values)
        self.low, self.high = min(self.low, values.min()), max(self.high, values.max())
        self.total += float(values.sum(dtype=np.float64) / (values[0].size or 1))

    @property
    def spread(self) -> str:
        return f"{self.low:.4g} to {self.high:.4g}, mean {self.total / self.num:.4g}"

    def __str__(self) -> str:
        """The end of a line of `mmgen check-data`; at least one example must have been added."""
        return f"values {self.spread}"


def finite(name: str, samples: np.ndarray) -> np.ndarray:
    """The samples unchanged; raises InputError where a value is not finite."""
    if not np.isfinite(samples).all():
        raise InputError(f"sample {name!r}: expected finite values, got {np.sum(~np.isfinite(samples))} that are not")
    return samples


def undecodable(path, name: str, expected: str, error: Exception, field: str = "content") -> DataError:
    """A DataError with the message of an exception that a decoding library raised."""
    got = f"{type(error).__name__}: {error}".replace(str(path), "the file")
    return DataError(path, name, field, expected, got, "replace the file or leave it out")
