"""Random training examples, whatever the conditions: a lower bound for distances between distributions."""

from __future__ import annotations

import numpy as np

from mmgen_jax.baselines.base import BaselineSampler, num_examples
from mmgen_jax.config.system import open_source


class Baseline(BaselineSampler):
    """Targets of training examples, in an order drawn from `config.seed`, whatever the conditions.

    No example is drawn twice before all examples are drawn once. A perfect unconditional model would draw from the same
    distribution, so the distance of this baseline from a test split is the floor for models at the same `n`.
    """

    def __init__(self, config, target: str):
        super().__init__(config, target)
        self._source = open_source(config, names=(target,))
        self._order, self._position = np.random.default_rng(config.seed).permutation(len(self._source)), 0

    def __call__(self, batch):
        size = num_examples(batch)
        indices = self._order[(self._position + np.arange(size)) % len(self._order)]
        self._position += size
        return {self.target: self._source.read(indices, np.zeros(size, int))[self.target]}

    def rewind(self):
        self._position = 0
        return self

    def reconstruct(self, batch):
        return self(batch)
