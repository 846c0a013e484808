"""Parts of the training examples, for `config.data.part` and `config.data.fraction`; other splits are read whole."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np

from mmgen_jax.errors import ConfigError

ROLE = 0x5B5E7  # keeps this draw apart from the pipeline's, which is from (seed, epoch)
OTHER = {"first": "second", "second": "first"}  # each part of a split, and the part that shares no family with it


class Rows:
    """A source with the examples `rows` of `source`; all else is as in `source`."""

    def __init__(self, source: Any, rows: np.ndarray):
        self._source, self._rows = source, rows

    @property
    def whole(self) -> Any:
        """The whole source, also where this is a part of a part."""
        return getattr(self._source, "whole", self._source)

    @property
    def places(self) -> Any:
        """As `places` of the source, of these examples; no attribute where the source has none."""
        places = self._source.places
        return lambda indices: places(self._rows[np.asarray(indices)])

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, indices: np.ndarray, epochs: np.ndarray) -> dict[str, np.ndarray]:
        return self._source.read(self._rows[np.asarray(indices)], epochs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # copying and pickling ask for such names before `_source` is set
            raise AttributeError(name)
        return getattr(self._source, name)


class Subset(Rows):
    """A source with `ceil(fraction · N)` random examples of `source`, in the order of `source`.

    With the same seed, the examples of a smaller fraction are among those of a larger fraction. Where the source pairs
    its examples anew for each pass (`digits`), the partners are still drawn from the whole split. `fraction` is
    above 0 and at most 1 (`config/schema.py`).
    """

    def __init__(self, source: Any, fraction: float, seed: int):
        num = math.ceil(fraction * len(source))
        super().__init__(source, np.sort(np.random.default_rng([seed, ROLE]).permutation(len(source))[:num]))


class Half(Rows):
    """The `first` or `second` half of a source's families: a model trains on one half, its judge on the other half.

    The attribute `families` of a source names the family of each example; without the attribute, each example is a
    family. A hash of this name decides the half. So both halves have about the same
    number of families, and no seed changes the halves. Vocabularies are those of the whole split.

    Raises:
      ConfigError: no such part.
    """

    def __init__(self, source: Any, part: str):
        if part not in OTHER:
            raise ConfigError(f"data.part: expected {' or '.join(OTHER)}, got {part!r}")
        families = getattr(source, "families", None) or map(str, range(len(source)))
        first = np.array([hashlib.sha256(f"part {family}".encode()).digest()[0] < 128 for family in families])
        super().__init__(source, np.flatnonzero(first == (part == "first")))


def part_of(source: Any, part: str, fraction: float, seed: int) -> Any:
    """The half `part` of a source ("": the whole source), and of this half the `fraction` that `seed` draws."""
    source = Half(source, part) if part else source
    return Subset(source, fraction, seed) if fraction != 1 else source
