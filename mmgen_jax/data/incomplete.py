"""A data set whose training examples lack modalities: masks `<name>/mask`, completely at random or not at random.

    config.data = {"name": "incomplete", "of": {"name": "polymnist", "names": (...)}, "targets": (...), "rate": 0.5}

The arrays are those of the set `of`; only masks are added, as a function of (seed, index), the same in every pass.
Every example keeps at least one of `targets`. Validation and test splits are complete, so that all models are measured
on the same examples.

- `mechanism="random"` (missing completely at random): each of `targets` is missing with probability `rate`.
- `mechanism="label"` (missing not at random): the probability grows linearly with the class of `label`, from 0 for the
  first to 2 · `rate` for the last class, at most 1.

`keep=False` discards every incomplete training example.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from mmgen_jax import lookup
from mmgen_jax.config.ranges import Rate, Seed
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import MASK_SUFFIX, Modality

MECHANISMS = ("random", "label")
ROLE = 0x1CC  # keeps the draws apart from other draws from the seed


@dataclasses.dataclass(frozen=True)
class Source:
    """A set with missing modalities.

    Args:
      of: the fields of the set, as in `config.data`; its splits are `train`, `validation` and `test`.
      targets: the modalities that may be missing, at least two.
      rate: probability that a modality is missing, before one modality of an example that lost all is restored; with
        `label`, the mean over classes that are equally frequent, lower for a rate above 0.5.
      mechanism: `random` or `label`.
      label: the label of the mechanism `label`.
      keep: whether incomplete training examples are kept.
      split, names, seed: as in other sets; the seed is of the masks.

    Raises:
      ConfigError: an unknown mechanism or modality, or no complete example is left.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "validation", "test")

    of: Mapping[str, Any]
    targets: tuple[str, ...] = ()
    rate: Rate = 0.5
    mechanism: str = "random"
    label: str = ""
    keep: bool = True
    split: str = "train"
    names: tuple[str, ...] = ()
    seed: Seed = 0

    def __post_init__(self):
        object.__setattr__(self, "of", dict(self.of))
        if self.mechanism not in MECHANISMS:
            raise ConfigError(f"incomplete: mechanism: expected one of {', '.join(MECHANISMS)}, got {self.mechanism!r}")
        known = self._open("train", ()).modalities
        if len(self.targets) < 2 or not set(self.targets) <= set(known):
            raise ConfigError(f"incomplete: targets: expected two or more of {', '.join(known)}, got {self.targets}")
        if self.mechanism == "label" and not (self.label in known and known[self.label].num_classes):
            labels = ", ".join(name for name, modality in known.items() if modality.num_classes) or "none"
            raise ConfigError(f"incomplete: label: expected a label ({labels}), got {self.label!r}")
        if not len(self):
            raise ConfigError(f"incomplete: rate: no complete training example is left at {self.rate}; lower it")

    def __reduce__(self):
        # Worker processes open the set again instead of receiving it.
        return type(self), tuple(getattr(self, field.name) for field in dataclasses.fields(self))

    @property
    def label_preserving(self) -> tuple[str, ...]:
        return tuple(getattr(self._source, "label_preserving", ()))

    @property
    def modalities(self) -> dict[str, Modality]:
        return dict(self._source.modalities)

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, indices: np.ndarray, epochs: np.ndarray) -> dict[str, np.ndarray]:
        rows = self._rows[np.asarray(indices, np.int64)]
        batch = dict(self._source.read(rows, epochs))
        if self.split == self.splits[0]:
            for i, name in enumerate(self.targets):
                if name in batch:
                    before = batch.get(name + MASK_SUFFIX, np.ones(len(rows), bool))
                    batch[name + MASK_SUFFIX] = before & self._present[rows, i]
        return batch

    def layout_found(self) -> list[str]:
        """How many examples lack how many modalities."""
        if self.split != self.splits[0]:
            return []
        counts = np.bincount((~self._present[self._rows]).sum(axis=1), minlength=len(self.targets))
        return [
            f"train: {count:,} examples lack {num} of {', '.join(self.targets)}" for num, count in enumerate(counts)
        ]

    @functools.cached_property
    def _source(self) -> Any:
        return self._open(self.split, self.names)

    @functools.cached_property
    def _rows(self) -> np.ndarray:
        every = np.arange(len(self._source))
        if self.split != self.splits[0] or self.keep:
            return every
        return every[self._present.all(axis=1)]

    @functools.cached_property
    def _present(self) -> np.ndarray:
        """`[N, targets] bool`, of the training split."""
        rng = np.random.default_rng([ROLE, self.seed])
        num = len(self._source)
        rate: Any = self.rate
        if self.mechanism == "label":
            labelled = self._open("train", (self.label,))
            labels = labelled.read(np.arange(num), np.zeros(num, int))[self.label]
            last = max(labelled.modalities[self.label].num_classes - 1, 1)
            rate = np.minimum(2 * self.rate * labels / last, 1.0)[:, None]
        drawn = rng.random((num, len(self.targets)))
        kept = rng.integers(0, len(self.targets), num)
        present = drawn >= rate
        present[np.arange(num), kept] |= ~present.any(axis=1)
        return present

    def _open(self, split: str, names: tuple[str, ...]) -> Any:
        own = {**self.of, **({"names": names} if names else {})}
        return lookup.build("data", own, "config.data.of", split=split, seed=self.seed)
