"""Retrieval in place of translation: the target of the training example with the nearest conditions."""

from __future__ import annotations

import functools

import numpy as np

from mmgen_jax.baselines.base import BaselineSampler, num_examples
from mmgen_jax.config.system import build_system, open_source
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import MASK_SUFFIX
from mmgen_jax.modalities.space import Continuous

CHUNK = 1024  # examples read at once


class Baseline(BaselineSampler):
    """The target of the training example whose conditions have the least squared distance to the given conditions.

    The distance is summed over the elements of all conditions. A condition that is masked in the given example does not
    count; where all are masked, the first training example is taken, as among equally near examples. A training
    example without one of the conditions or the target (masked) is left out. Memory: 4 bytes for each element of the
    training conditions.

    Raises:
      ConfigError: no conditions, a condition that is no array of continuous values (a text, a label); or, at the first
        call, no training example has the conditions and the target.
    """

    def __init__(self, config, target: str):
        super().__init__(config, target)
        self._source = open_source(config)
        modalities = self._source.modalities
        self._conditions = build_system(config, modalities).conditions
        others = [name for name in self._conditions if not isinstance(modalities[name].space, Continuous)]
        if others or not self._conditions:
            listed = ", ".join(f"{name} ({modalities[name].kind})" for name in self._conditions) or "none"
            raise ConfigError(
                f"baseline nearest_condition: expected conditions of continuous values (pictures, sounds), got {listed}"
            )

    def __call__(self, batch):
        indices, known = self._known
        distances = np.zeros((num_examples(batch), len(indices)), np.float32)
        for name in self._conditions:
            if name in batch:
                asked = _flat(batch[name])
                # |a - b|^2 without the |a|^2 of the given example, which is the same for all training examples
                squared = np.square(known[name]).sum(1) - 2 * asked @ known[name].T
                present = np.asarray(batch.get(name + MASK_SUFFIX, np.ones(len(asked), bool)))
                distances += np.where(present[:, None], squared, 0)
        nearest = indices[np.argmin(distances, axis=1)]
        return {self.target: self._source.read(nearest, np.zeros_like(nearest))[self.target]}

    @functools.cached_property
    def _known(self) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Indices of the training examples `[N]`, and their conditions `{name: [N, D]}`."""
        kept, rows = [], {name: [] for name in self._conditions}
        for start in range(0, len(self._source), CHUNK):
            indices = np.arange(start, min(start + CHUNK, len(self._source)))
            batch = self._source.read(indices, np.zeros_like(indices))
            keep = np.ones(len(indices), bool)
            for name in (*self._conditions, self.target):
                keep &= batch.get(name + MASK_SUFFIX, True)
            kept.append(indices[keep])
            for name in self._conditions:
                rows[name].append(_flat(batch[name])[keep])
        if not (num := sum(map(len, kept))):
            needed = ", ".join((*self._conditions, self.target))
            raise ConfigError(f"baseline nearest_condition: expected training examples with {needed}, got {num}")
        return np.concatenate(kept), {name: np.concatenate(parts) for name, parts in rows.items()}


def _flat(arrays: np.ndarray) -> np.ndarray:
    return np.asarray(arrays, np.float32).reshape(len(arrays), -1)
