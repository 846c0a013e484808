"""A copy under a second name, to read a modality unchanged that is also a target or the input of another transform."""

from __future__ import annotations

import dataclasses

import numpy as np

from mmgen_jax.modalities.modality import Modality


@dataclasses.dataclass(frozen=True)
class Transform:
    """An array of any kind and shape, unchanged."""

    def modality(self, of: Modality) -> Modality:
        return of

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return x
