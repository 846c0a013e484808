"""Classification by data set: the examples of two or more data sets under one name, with the data set as the label.

- example: the modality `of` of a set, see `data/unpaired.py`; it has one shape in all sets.
- domain: the set.

For the judges of translations between data sets. The sets alternate: in every split, each set has the same number of
examples, and the examples of a shorter set repeat.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from mmgen_jax.config.ranges import Seed
from mmgen_jax.data import unpaired
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import MASK_SUFFIX, Modality


@dataclasses.dataclass(frozen=True)
class Source:
    """Examples of several data sets, with the data set as their label.

    Args:
      sets, split, seed: as in `unpaired.Source`.
      names: some of `example`, `domain`; () is both.

    Raises:
      ConfigError: the sets' modalities differ in kind or shape; see also `unpaired.Source`.
    """

    splits: ClassVar[tuple[str, ...]] = unpaired.Source.splits
    available: ClassVar[tuple[str, ...]] = ("example", "domain")

    sets: Mapping[str, Mapping[str, Any]]
    split: str = "train"
    names: tuple[str, ...] = ()
    seed: Seed = 0

    def __post_init__(self):
        if unknown := [name for name in self.names if name not in self.available]:
            raise ConfigError(f"domains: no modality {unknown[0]!r}; there are {', '.join(self.available)}")
        found = {name: (self._side_by_side.modalities[name].kind, self._shape(name)) for name in self.sets}
        if len(set(found.values())) > 1:
            got = ", ".join(f"{name}: {kind} {list(shape)}" for name, (kind, shape) in found.items())
            raise ConfigError(f"domains: expected examples of one kind and shape, got {got}")

    def __reduce__(self):
        # Worker processes open the sets again instead of receiving them.
        return type(self), tuple(getattr(self, field.name) for field in dataclasses.fields(self))

    @functools.cached_property
    def _side_by_side(self) -> unpaired.Source:
        return unpaired.Source(self.sets, self.split, tuple(self.sets), self.seed)

    def _shape(self, name: str) -> tuple[int, ...]:
        return self._side_by_side.modalities[name].shape

    @property
    def modalities(self) -> dict[str, Modality]:
        first = self._side_by_side.modalities[next(iter(self.sets))]
        every = {"example": first, "domain": Modality("label", classes=tuple(self.sets))}
        return {name: every[name] for name in self.names or self.available}

    def __len__(self) -> int:
        return len(self.sets) * len(self._side_by_side)

    def read(self, indices: np.ndarray, epochs: np.ndarray) -> dict[str, np.ndarray]:
        places, domains = np.divmod(np.asarray(indices, np.int64), len(self.sets))
        read, rows = self._side_by_side.read(places, epochs), np.arange(len(places))
        batch = {"example": np.stack([read[name] for name in self.sets])[domains, rows]}
        masks = [read.get(name + MASK_SUFFIX, np.ones(len(places), bool)) for name in self.sets]
        if not np.all(masks):
            batch["example" + MASK_SUFFIX] = np.stack(masks)[domains, rows]
        batch["domain"] = domains.astype(np.int32)
        return {name: array for name, array in batch.items() if name.removesuffix(MASK_SUFFIX) in self.modalities}
