"""Modalities that the pipeline computes from a source's modalities: degraded pictures, masks, edges (`config.derived`).

    config.derived = {
        "small": {"name": "downsample", "of": "image", "factor": 4},
        "photo": {"name": "jpeg", "of": "small"},
    }

Each entry applies a transform of `data/transforms/` to a modality of the source or to another entry. The random numbers
of a transform are a function of the entry's name and the example's index; in the training split also of the run's seed
and of the epoch. So every run is measured on the same degraded examples.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from mmgen_jax import lookup
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import MASK_SUFFIX, Modality

PLACEMENT = {"of": ""}  # the field of an entry that is not a field of its transform


@dataclasses.dataclass(frozen=True)
class Entry:
    """A derived modality: its transform, and the names of the modalities that the transform reads."""

    transform: Any
    of: tuple[str, ...]


def build(config: Mapping[str, Any]) -> dict[str, Entry]:
    """`{name: entry}` of `config.derived`; each entry comes after the entries that it reads.

    Raises:
      ConfigError: an entry without `of`, or entries that read each other in a circle.
      LookupFailed: no such transform, or no such field.
    """
    entries = {}
    for name, fields in config.items():
        own = {key: value for key, value in fields.items() if key not in PLACEMENT}
        of = _names(fields.get("of"))
        if not of:
            raise ConfigError(f"config.derived.{name}.of: expected the modality to derive it from, got {of}")
        entries[name] = Entry(lookup.build("transforms", own, f"config.derived.{name}"), of)
    ordered: dict[str, Entry] = {}
    while len(ordered) < len(entries):
        ready = [n for n, e in entries.items() if n not in ordered and not set(e.of) & (set(entries) - set(ordered))]
        if not ready:
            circle = ", ".join(sorted(set(entries) - set(ordered)))
            raise ConfigError(f"config.derived: {circle}: derived from itself in a circle; derive one from the data")
        ordered |= {name: entries[name] for name in ready}
    return ordered


def roots(config: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """The modalities of the source that `name` is computed from; a modality of the source is its own root.

    Args:
      config: `config.derived`.
    """
    pending, found = [name], []
    seen = set()
    while pending:
        one = pending.pop(0)
        if one in config and one not in seen:
            pending += _names(config[one].get("of"))
        elif one not in config:
            found.append(one)
        seen.add(one)
    return tuple(dict.fromkeys(found))


def _names(of: Any) -> tuple[str, ...]:
    return (of,) if isinstance(of, str) and of else tuple(of or ())


def added(source: Any, entries: Mapping[str, Entry], seed: int | None) -> Any:
    """The source with the entries, see `Derived`; the source itself where there are none."""
    return Derived(source, entries, seed) if entries else source


class Derived:
    """A source with further modalities; all else is as in `source`.

    Args:
      source: see `mmgen_jax/data/__init__.py`.
      entries: as `build` gives them.
      seed: of the draws in the training split; None: the draws of every run and epoch are the same.

    Raises:
      ConfigError: an entry has the name of a modality of the source, or reads a modality that does not exist.
    """

    def __init__(self, source: Any, entries: Mapping[str, Entry], seed: int | None):
        self._source, self._entries, self._seed = source, dict(entries), seed
        modalities: dict[str, Modality] = dict(source.modalities)
        for name, entry in entries.items():
            if name in source.modalities:
                raise ConfigError(f"config.derived.{name}: the data has a modality of this name; choose another name")
            if missing := [other for other in entry.of if other not in modalities]:
                raise ConfigError(
                    f"config.derived.{name}.of: {missing[0]!r} is not in the data; its modalities are: "
                    + ", ".join(modalities)
                )
            modalities[name] = entry.transform.modality(*(modalities[other] for other in entry.of))
        self.modalities = modalities

    @property
    def whole(self) -> Any:
        """The source without derived modalities, for fingerprints; `config.derived` is saved in the run's config."""
        return getattr(self._source, "whole", self._source)

    def __len__(self) -> int:
        return len(self._source)

    def read(self, indices: np.ndarray, epochs: np.ndarray) -> dict[str, np.ndarray]:
        batch = dict(self._source.read(indices, epochs))
        for name, entry in self._entries.items():
            if set(entry.of) <= set(batch):
                batch |= self._derive(name, entry, batch, np.asarray(indices), np.asarray(epochs))
        return batch

    def _derive(self, name: str, entry: Entry, batch, indices, epochs) -> dict[str, np.ndarray]:
        masks = [np.asarray(batch[n + MASK_SUFFIX]) for n in entry.of if n + MASK_SUFFIX in batch]
        present = np.logical_and.reduce(masks) if masks else np.ones(len(indices), bool)
        values = self.modalities[name].zeros(len(indices))
        role = zlib.crc32(name.encode())
        for i in np.flatnonzero(present):
            place = [int(indices[i])] if self._seed is None else [int(indices[i]), int(epochs[i]), self._seed]
            rng = np.random.default_rng([role, *place])
            values[i] = entry.transform(*(batch[other][i] for other in entry.of), rng=rng)
        return {name: values} | ({name + MASK_SUFFIX: present} if masks else {})

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # copying and pickling ask for such names before `_source` is set
            raise AttributeError(name)
        return getattr(self._source, name)
