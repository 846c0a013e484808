"""The kind `label`: a class id `[]` int32 in [0, num_classes); zero is the first class."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities import base
from mmgen_jax.modalities.lines import save_lines
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.space import Discrete


@dataclasses.dataclass(frozen=True)
class Kind(base.Base):
    """Given by a class's name or number. Samples: `<step>_<name>.txt`, a class name per line."""

    ranks: ClassVar[tuple[int, ...]] = (0,)
    dtype: ClassVar[type] = np.int32

    @property
    def space(self) -> Discrete:
        return Discrete(1, self.modality.num_classes)

    def read_given(self, value: Any, name: str) -> list[np.ndarray]:
        """A name goes before a number, for classes that are called by numbers."""
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
    """How many examples each class has."""

    def __init__(self, modality: Modality):
        super().__init__(modality)
        self.counts = np.zeros(modality.num_classes, int)

    def add(self, values: np.ndarray) -> None:
        self.num += len(values)
        self.counts += np.bincount(values, minlength=len(self.counts))[: len(self.counts)]

    def __str__(self) -> str:
        classes = " ".join(f"{name}={count}" for name, count in zip(self.modality.classes, self.counts))
        return f"{self.modality.num_classes} classes: {classes}"
