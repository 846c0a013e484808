"""Training examples whatever the conditions: the floor of a distance between distributions."""

from __future__ import annotations

import numpy as np

from mmgen_jax.baselines.base import BaselineSampler, num_examples
from mmgen_jax.config.system import open_source


class Baseline(BaselineSampler):
    """Other examples of the training split, in an order drawn from `config.seed`, whatever the conditions.

    None comes twice in a pass. It is what a perfect model of the data would draw, so the floor of a distance at that
    many examples.
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
