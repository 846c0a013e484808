"""The kind `label`: a class id `[]` int32 in [0, num_classes); zero is the first class."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from mmgen_jax.errors import ConfigError, DataError
from mmgen_jax.modalities import base
from mmgen_jax.modalities.lines import save_lines
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.space import Discrete


@dataclasses.dataclass(frozen=True)
class Kind(base.Base):
    """The name or number of a class, from a manifest or a table, from the name of a folder, or on the command line.

    Samples: `<step>_<name>.txt`, a class name per line.
    """

    ranks: ClassVar[tuple[int, ...]] = (0,)
    dtype: ClassVar[type] = np.int32
    inline: ClassVar[tuple[type, ...]] = (str, int)

    @classmethod
    def of_folder(cls, fields, entries: base.Entries) -> Modality:
        """The classes of all entries: in numerical order if all are numbers, else in alphabetical order."""
        classes = {str(value).strip() for _, value in entries}
        as_numbers = all(name.lstrip("-").isdecimal() for name in classes)
        return Modality("label", classes=tuple(sorted(classes, key=int if as_numbers else None)))

    @classmethod
    def of_array(cls, fields, name: str, values: np.ndarray, about: Mapping[str, Any]) -> tuple[Modality, np.ndarray]:
        """Class numbers from 0, or names; `[N]`, or `[N, 1]` as in some sets. `about["classes"]` names the classes."""
        if values.size != len(values):
            got, advice = list(values.shape), "give it another name or shape"
            raise DataError(fields.file, name, "shape", "[N] classes", got, advice)
        values = values.reshape(-1)
        if values.dtype.kind == "U":
            classes, ids = np.unique(values, return_inverse=True)
        else:
            ids = values.astype(np.int64)
            if ids.min() < 0 or not np.array_equal(ids, values):
                got = f"{values.min()} to {values.max()}"
                raise DataError(fields.file, name, "classes", "class numbers from 0", got, "mend them")
            classes = np.arange(int(ids.max()) + 1).astype(str)
        if "classes" in about:
            classes = about["classes"].astype(str)
            if ids.max() >= len(classes):
                expected, got = f"numbers below {len(classes)}", f"a class number {ids.max()}"
                raise DataError(fields.file, name, "classes", expected, got, "name every class")
        return Modality("label", classes=tuple(map(str, classes))), ids.astype(np.int32)

    @property
    def space(self) -> Discrete:
        return Discrete(1, self.modality.num_classes)

    def read_inline(self, value: Any, where: str, name: str) -> np.ndarray:
        if (word := str(value).strip()) not in self.modality.classes:
            expected = f"one of {', '.join(self.modality.classes)}"
            raise DataError(where, name, "class", expected, repr(value), "mend the line")
        return np.array(self.modality.classes.index(word), np.int32)

    def read_given(self, value: Any, name: str) -> list[np.ndarray]:
        """The id of a class, given as name or number; `value` is first looked up as a name, then as a number.

        Names come first, because some sets name their classes by numbers.

        Raises:
          ConfigError: neither the name nor the number of a class.
        """
        classes, value = self.modality.classes, str(value)
        if value in classes:
            return [np.array(classes.index(value), np.int32)]
        if value.isdecimal() and int(value) < len(classes):
            return [np.array(int(value), np.int32)]
        raise ConfigError(
            f"{name}: expected a class, or its number from 0 to {len(classes) - 1}, got {value!r}; the classes are: "
            + ", ".join(classes)
        )

    def words(self, value: np.ndarray) -> str:
        return self.modality.classes[int(value)]

    def describe(self, name: str, value: np.ndarray) -> str:
        return f"{name} {self.words(value)}"

    def save(
        self, stem: pathlib.Path, name: str, samples: np.ndarray, captions: Sequence[str], seen: Mapping[str, Any]
    ) -> list[pathlib.Path]:
        return save_lines(stem, [self.words(value) for value in samples], captions, seen)

    def statistics(self) -> Statistics:
        return Statistics(self.modality)


class Statistics(base.Statistics):
    """The number of examples of each class."""

    def __init__(self, modality: Modality):
        super().__init__(modality)
        self.counts = np.zeros(modality.num_classes, int)

    def add(self, values: np.ndarray) -> None:
        self.num += len(values)
        self.counts += np.bincount(values, minlength=len(self.counts))[: len(self.counts)]

    def __str__(self) -> str:
        classes = " ".join(f"{name}={count}" for name, count in zip(self.modality.classes, self.counts))
        return f"{self.modality.num_classes} classes: {classes}"
