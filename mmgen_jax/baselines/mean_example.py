"""The mean training example: the best constant in squared error."""

from __future__ import annotations

import functools

import numpy as np

from mmgen_jax.baselines.base import BaselineSampler, num_examples
from mmgen_jax.config.system import open_source
from mmgen_jax.errors import ConfigError
from mmgen_jax.evaluators.measures import examples
from mmgen_jax.modalities.modality import MASK_SUFFIX
from mmgen_jax.modalities.space import Continuous

MAX_AVERAGED = 10_000  # examples


class Baseline(BaselineSampler):
    """The mean of at most `MAX_AVERAGED` training examples that have the target: the best constant in squared error.

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
        chosen, num, total = np.sort(examples.order(len(self._source))[:MAX_AVERAGED]), 0, np.zeros(())
        for start in range(0, len(chosen), self.batch_size):
            indices = chosen[start : start + self.batch_size]
            read = self._source.read(indices, np.zeros_like(indices))
            targets = read[self.target][read.get(self.target + MASK_SUFFIX, np.ones(len(indices), bool))]
            total, num = total + self._encode(targets).sum(0, dtype=np.float64), num + len(targets)
        return self._decode((total / max(num, 1)).astype(np.float32))

    def _encode(self, targets: np.ndarray) -> np.ndarray:
        """The values to average, from targets `[B, ...]`."""
        return targets

    def _decode(self, mean: np.ndarray) -> np.ndarray:
        """The target for a mean of encoded values."""
        return mean
