"""Two or more data sets side by side, unpaired: each set gives one part of an example, and the parts are unrelated.

    config.data = {
        "name": "unpaired",
        "sets": {
            "mnist": {"name": "digits", "of": "image", "image_size": 28},
            "small": {"name": "small_digits", "of": "image"},
        },
    }

- mnist, small: the modality `of` of each set, under the name of the set in `sets`.
- mnist_digit, small_digit: the labels of each set, for evaluation; a label describes only the part of its own set.

The index of an example is its index in the longest set. In `train`, the parts from the other sets are drawn anew for
each pass, by (seed, epoch, index). In `validation` and `test`, example i has example i of each set. A shorter set then
starts again from its first example, so a metric must count each example of this set only once.

`part = (0, 2)` of a set keeps the first of two random halves of its training split, drawn from the seed: with (0, 2)
and (1, 2), two entries of one data set share no training example. Validation and test splits are read whole: there, two
sets that read the same data have the same example at each index, which is the ground truth of a translation. `offset =
5000` of a set makes its example 5,000 the first of these splits: two entries of one data set then show unrelated
examples there too.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from mmgen_jax import lookup
from mmgen_jax.config.ranges import Seed
from mmgen_jax.data import fingerprint, local
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import MASK_SUFFIX, Modality

ROLE = 0xFA175  # keeps the draw of the parts apart from other draws from the seed
OWN = ("of", "part", "offset")  # fields of a set that are not its source's


@dataclasses.dataclass(frozen=True)
class Source:
    """Data sets side by side.

    Args:
      sets: `{name: {"name": source, "of": modality, "part": (k, n), "offset": 0, **fields of the source}}`; `part`
        and `offset` may be left out.
      split: `train`, `validation` or `test`, which every set must have.
      names: some of the modalities; () is all.
      seed: of the pairing, of the parts, and of the sources that have a seed.

    Raises:
      ConfigError: fewer than two sets, a set that lacks `of` or a split, or a modality that does not exist.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "validation", "test")

    sets: Mapping[str, Mapping[str, Any]]
    split: str = "train"
    names: tuple[str, ...] = ()
    seed: Seed = 0

    def __post_init__(self):
        if len(self.sets) < 2:
            raise ConfigError(f"config.data.sets: expected at least two data sets, got {len(self.sets)}")
        object.__setattr__(self, "sets", {name: _plain(name, fields) for name, fields in self.sets.items()})
        if unknown := [name for name in self.names if name not in self._every]:
            raise ConfigError(f"config.data.names: no modality {unknown[0]!r}; there are {', '.join(self._every)}")
        _ = self._rows  # an unusable set stops a run before anything compiles

    def __reduce__(self):
        # Worker processes open the sets again instead of receiving them.
        return type(self), tuple(getattr(self, field.name) for field in dataclasses.fields(self))

    @property
    def label_preserving(self) -> tuple[str, ...]:
        """The operations after which every set's labels still hold."""
        allowed = [set(getattr(source, "label_preserving", ())) for source in self._sources.values()]
        return tuple(sorted(set.intersection(*allowed)))

    @property
    def modalities(self) -> dict[str, Modality]:
        return {
            name: modality for name, (_, _, modality) in self._every.items() if not self.names or name in self.names
        }

    def __len__(self) -> int:
        return max(map(len, self._rows.values()))

    def read(self, indices: np.ndarray, epochs: np.ndarray) -> dict[str, np.ndarray]:
        indices = np.asarray(indices, np.int64)
        if np.any(indices >= len(self)):
            raise IndexError(f"unpaired: {len(self)} examples in {self.split!r}, got index {indices.max()}")
        epochs = np.asarray(epochs, np.int64)
        batch = {}
        for name, source in self._sources.items():
            wanted = {ours: theirs for ours, (of, theirs, _) in self._every.items() if of == name}
            if not (wanted := {ours: theirs for ours, theirs in wanted.items() if ours in self.modalities}):
                continue
            values = source.read(self._rows[name][self._places(name, indices, epochs)], epochs)
            for ours, theirs in wanted.items():
                batch[ours] = values[theirs]
                if theirs + MASK_SUFFIX in values:
                    batch[ours + MASK_SUFFIX] = values[theirs + MASK_SUFFIX]
        return batch

    def layout_found(self) -> list[str]:
        """How many examples of each set there are."""
        return [
            f"{self.split}: {name}: {len(self._rows[name]):,} examples, {fields['of']!r} of {fields['name']}"
            for name, fields in self.sets.items()
        ]

    def warnings(self) -> list[str]:
        lines = {name: getattr(source, "warnings", list)() for name, source in self._sources.items()}
        return [f"{name}: {line}" for name, own in lines.items() for line in own]

    def fingerprint(self) -> str:
        """The fingerprint of every set with its part and its place among the sets, and of the seed."""
        content = []
        for name, fields in self.sets.items():
            source = self._open(name, self.splits[0], (fields["of"],))
            content.append([name, fields["of"], fields.get("part"), fingerprint.of(source)])
        return fingerprint.digest([content, self.seed])

    def _places(self, name: str, indices: np.ndarray, epochs: np.ndarray) -> np.ndarray:
        """`[B]`: the rows of a set that are paired with the examples of the longest set."""
        size = len(self._rows[name])
        if self.split != self.splits[0] or name == self._leader:
            return (indices + (self.sets[name].get("offset", 0) if self.split != self.splits[0] else 0)) % size
        return (local.uniform(f"unpaired/{self.seed}/{name}", epochs, indices) * size).astype(np.int64)

    @property
    def _leader(self) -> str:
        """The longest set, or the first of several longest sets; the examples of the other sets are drawn."""
        return max(self._rows, key=lambda name: len(self._rows[name]))

    @functools.cached_property
    def _rows(self) -> dict[str, np.ndarray]:
        """`{set: [N] int64}`, the indices of its examples in this split."""
        rows = {}
        for name, source in self._sources.items():
            part, parts = self.sets[name].get("part", (0, 1))
            if self.split != self.splits[0]:
                part, parts = 0, 1
            order = np.random.default_rng([self.seed, ROLE]).permutation(len(source))
            rows[name] = np.sort(order[part::parts]) if parts > 1 else np.arange(len(source))
            if not len(rows[name]):
                raise ConfigError(
                    f"config.data.sets.{name}.part: part {part} of {parts} of {len(source)} is empty; use fewer parts"
                )
        return rows

    @functools.cached_property
    def _sources(self) -> dict[str, Any]:
        """`{set: its source}`; a source reads only the modalities that are wanted."""
        wanted = {name: [theirs for of, theirs, _ in self._every.values() if of == name] for name in self.sets}
        return {name: self._open(name, self.split, tuple(wanted[name])) for name in self.sets}

    @functools.cached_property
    def _every(self) -> dict[str, tuple[str, str, Modality]]:
        """`{modality: (set, its name in the set, modality)}`: the modality `of` of each set, and the set's labels."""
        found = {}
        for name, fields in self.sets.items():
            theirs = self._open(name, self.split, ()).modalities
            if fields["of"] not in theirs:
                raise ConfigError(
                    f"config.data.sets.{name}.of: {fields['name']} has no modality {fields['of']!r}; it has: "
                    + ", ".join(theirs)
                )
            labels = [other for other, modality in theirs.items() if modality.num_classes and other != fields["of"]]
            for ours, own in [(name, fields["of"]), *((f"{name}_{other}", other) for other in labels)]:
                if ours in found:
                    raise ConfigError(f"config.data.sets: two modalities would be called {ours!r}; rename a set")
                found[ours] = (name, own, theirs[own])
        return found

    def _open(self, name: str, split: str, names: tuple[str, ...]) -> Any:
        _, fields = own_fields(self.sets[name])
        where = f"config.data.sets.{name}"
        if split not in lookup.find("data", fields["name"]).splits:
            raise ConfigError(f"{where}: {fields['name']} has no split {split!r}; use a data set that has it")
        return lookup.build("data", fields, where, split=split, seed=self.seed, names=names)


def own_fields(fields: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """`(of, config of the source)` of an entry of `sets`."""
    return fields["of"], {key: value for key, value in fields.items() if key not in OWN}


def _plain(name: str, fields: Any) -> dict[str, Any]:
    """The fields of a set, checked, as a mapping that can be pickled."""
    where = f"config.data.sets.{name}"
    if not hasattr(fields, "items") or not {"name", "of"} <= set(fields):
        raise ConfigError(f"{where}: expected a group of fields with name (of a source) and of (its modality)")
    plain = dict(fields.items())
    if "names" in plain or "split" in plain:
        raise ConfigError(f"{where}: takes no names and no split; a set gives its modality `of` and its labels")
    part = plain.get("part", (0, 1))
    numbers = isinstance(part, (tuple, list)) and len(part) == 2 and all(type(number) is int for number in part)
    if not numbers or not 0 <= part[0] < part[1]:
        raise ConfigError(f"{where}.part: expected (k, n), part k of n counted from 0, got {part!r}")
    if type(offset := plain.get("offset", 0)) is not int or offset < 0:
        raise ConfigError(f"{where}.offset: expected a number of examples, 0 or more, got {offset!r}")
    return plain | {"part": tuple(part)} if "part" in plain else plain
