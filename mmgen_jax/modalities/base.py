"""What every kind has unless its file says otherwise, see `contracts.Kind`: values or ids in the range of its space."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from mmgen_jax.errors import BatchError, DataError, InputError
from mmgen_jax.modalities import containers
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.space import Continuous, Discrete

Entries = Sequence[tuple[pathlib.Path, Any]]  # (file, None), or (manifest and line, what the line holds)


@dataclasses.dataclass(frozen=True)
class Base:
    """A kind of continuous values, float32 in [-1, 1], that has no files and no augmentation.

    Args:
      modality: what the kind says of it.
    """

    modality: Modality

    ranks: ClassVar[tuple[int, ...]]
    dtype: ClassVar[type] = np.float32
    operations: ClassVar[Mapping[str, float]] = {}
    suffixes: ClassVar[tuple[str, ...]] = ()
    tracks: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    inline: ClassVar[type | None] = None
    any_name: ClassVar[bool] = False
    has_vocabulary: ClassVar[bool] = False
    eight_bits: ClassVar[bool] = False

    @classmethod
    def check_header(cls, path, name: str) -> None:
        containers.check(path, name)

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

    def statistics(self) -> Statistics:
        return Statistics(self.modality)

    def read_file(self, path, name: str) -> Any:
        raise DataError(path, name, "kind", "one that is read from files", self.modality.kind, "leave the file out")

    def read_given(self, value: Any, name: str) -> list[np.ndarray]:
        return [self.read_file(pathlib.Path(value), name)]

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
    """Range and mean of the elements of all examples that have the modality."""

    def __init__(self, modality: Modality):
        self.modality, self.num = modality, 0
        self.low, self.high, self.total = np.inf, -np.inf, 0.0

    def add(self, values: np.ndarray) -> None:
        """Counts `[N, …]`, N at least 1."""
        self.num += len(values)
        self.low, self.high = min(self.low, values.min()), max(self.high, values.max())
        self.total += float(values.sum(dtype=np.float64) / (values[0].size or 1))

    @property
    def spread(self) -> str:
        return f"{self.low:.4g} to {self.high:.4g}, mean {self.total / self.num:.4g}"

    def __str__(self) -> str:
        """The line's end, of at least one example."""
        return f"values {self.spread}"


def finite(name: str, samples: np.ndarray) -> np.ndarray:
    """The samples; raises InputError where one is not finite."""
    if not np.isfinite(samples).all():
        raise InputError(f"sample {name!r}: expected finite values, got {np.sum(~np.isfinite(samples))} that are not")
    return samples


def undecodable(path, name: str, expected: str, error: Exception, field: str = "content") -> DataError:
    """What a library said of a file, as our error."""
    got = f"{type(error).__name__}: {error}".replace(str(path), "the file")
    return DataError(path, name, field, expected, got, "replace the file or leave it out")
