"""A part of a source's examples, drawn by a seed: `config.data.fraction`, of the training split alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mmgen_jax.errors import ConfigError

ROLE = 0x5B5E7  # keeps this draw apart from the pipeline's, which is from (seed, epoch)


class Subset:
    """`ceil(fraction · N)` examples of `source`, in the source's order; what else it has is the source's.

    A smaller fraction of the same seed is a part of a larger one. The other modalities of an example stay the source's:
    where it draws a partner anew for each pass (`digits`), it draws from all of them.

    Raises:
      ConfigError: a fraction that is not in (0, 1].
    """

    def __init__(self, source: Any, fraction: float, seed: int):
        if not 0 < fraction <= 1:
            raise ConfigError(f"data.fraction: expected above 0 and at most 1, got {fraction}")
        num = math.ceil(fraction * len(source))
        self._source = source
        self._rows = np.sort(np.random.default_rng([seed, ROLE]).permutation(len(source))[:num])

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, indices: np.ndarray, epochs: np.ndarray) -> dict[str, np.ndarray]:
        return self._source.read(self._rows[np.asarray(indices)], epochs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # also what copying and pickling ask for before there is a source
            raise AttributeError(name)
        return getattr(self._source, name)
