"""The mean training example: the best constant in squared error."""

from __future__ import annotations

import functools

import numpy as np

from mmgen_jax.baselines.base import BaselineSampler, num_examples
from mmgen_jax.config.system import open_source
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.space import Continuous

MAX_AVERAGED = 10_000  # examples


class Baseline(BaselineSampler):
    """The mean of the first `MAX_AVERAGED` training examples: the best constant in squared error.

    Raises:
      ConfigError: a target of ids (a text, a label), which has no mean.
    """

    def __init__(self, config, target: str):
        super().__init__(config, target)
        self._source = open_source(config, names=(target,))
        modality = self._source.modalities[target]
        if not isinstance(modality.space, Continuous):
            raise ConfigError(
                f"baseline mean_example: expected a target of continuous values, got {target} ({modality.kind}), which "
                "has no mean"
            )

    def __call__(self, batch):
        return {self.target: np.broadcast_to(self._mean, (num_examples(batch), *self._mean.shape))}

    def reconstruct(self, batch):
        return self(batch)

    @functools.cached_property
    def _mean(self) -> np.ndarray:
        num = min(len(self._source), MAX_AVERAGED)
        total = np.zeros(())
        for start in range(0, num, self.batch_size):
            indices = np.arange(start, min(start + self.batch_size, num))
            read = self._source.read(indices, np.zeros_like(indices))[self.target]
            total = total + self._encode(read).sum(0, dtype=np.float64)
        return self._decode((total / num).astype(np.float32))

    def _encode(self, targets: np.ndarray) -> np.ndarray:
        """What is averaged of targets `[B, ...]`."""
        return targets

    def _decode(self, mean: np.ndarray) -> np.ndarray:
        """The target of a mean of what `_encode` gives."""
        return mean
