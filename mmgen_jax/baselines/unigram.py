"""Texts of independent words: each word, and the end of the text, drawn with its frequency in the training texts."""

from __future__ import annotations

import numpy as np

from mmgen_jax.baselines.base import BaselineSampler, num_examples
from mmgen_jax.config.system import open_source
from mmgen_jax.errors import ConfigError
from mmgen_jax.evaluators.measures import examples
from mmgen_jax.modalities.tokenizer import END, PADDING

READ = 500  # texts read at a time


class Baseline(BaselineSampler):
    """Draws of a unigram model of at most 10,000 training texts, from `config.seed`, whatever the conditions.

    Raises:
      ConfigError: the target is no text.
    """

    MAX_TEXTS = 10_000

    def __init__(self, config, target: str):
        super().__init__(config, target)
        source = open_source(config, names=(target,))
        modality = source.modalities[target]
        if not modality.vocab_size:
            raise ConfigError(f"baseline unigram: expected a text, {target!r} is of kind {modality.kind!r}")
        counts = np.zeros(modality.vocab_size)
        chosen = np.sort(examples.order(len(source))[: self.MAX_TEXTS])
        for start in range(0, len(chosen), READ):
            indices = chosen[start : start + READ]
            ids = source.read(indices, np.zeros(len(indices), int))[target]
            counts += np.bincount(ids.ravel(), minlength=len(counts))
        counts[PADDING] = 0
        self._shape, self._shares, self._seed = modality.shape, counts / counts.sum(), config.seed
        self.rewind()

    def __call__(self, batch):
        ids = self._rng.choice(len(self._shares), (num_examples(batch), *self._shape), p=self._shares).astype(np.int32)
        ids[:, -1] = END
        first = (ids == END).argmax(axis=1)[:, None]
        return {self.target: np.where(np.arange(ids.shape[1]) <= first, ids, PADDING).astype(np.int32)}

    def rewind(self):
        self._rng = np.random.default_rng(self._seed)
        return self
