"""Retrieval in place of generation: the training example of the nearest text."""

from __future__ import annotations

import functools

import numpy as np

from mmgen_jax.baselines.base import BaselineSampler
from mmgen_jax.config.system import build_system, open_source
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import MASK_SUFFIX
from mmgen_jax.modalities.tokenizer import NUM_SPECIAL

CHUNK = 1024  # examples read at once


class Baseline(BaselineSampler):
    """The target of the training example with the nearest text: retrieval in place of generation.

    Texts are bags of words. Nearness is the cosine of tf-idf vectors: tf is the count of a word in the text, idf is
    `1 + log((1 + N) / (1 + n))`, where n of the N training texts have the word. Ties are broken by an order drawn from
    `config.seed`; so is the choice where no word is shared or the text is masked. A training example without the text
    or the target (masked) is left out. Memory: 4 bytes for each training text and word of the vocabulary.

    Raises:
      ConfigError: the conditions do not hold exactly one text, or no training example has the text and the target.
    """

    def __init__(self, config, target: str):
        super().__init__(config, target)
        self._source, self._seed = open_source(config), config.seed
        modalities = self._source.modalities
        conditions = build_system(config, modalities).conditions
        texts = [name for name in conditions if modalities[name].tokenizer]
        if len(texts) != 1:
            conditions = ", ".join(f"{name} ({modalities[name].kind})" for name in conditions) or "none"
            raise ConfigError(f"baseline nearest_text: expected one text among the conditions, got {conditions}")
        self._text, self._vocab_size = texts[0], modalities[texts[0]].vocab_size

    def __call__(self, batch):
        indices, weights, known = self._known
        nearest = indices[np.argmax(self._counts(batch) * weights @ known.T, axis=1)]  # of ties the first
        return {self.target: self._source.read(nearest, np.zeros_like(nearest))[self.target]}

    @functools.cached_property
    def _known(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Indices of training examples `[N]` in the order that breaks ties, idf `[V]`, and unit tf-idf `[N, V]`."""
        order = np.random.default_rng(self._seed).permutation(len(self._source))
        counts, kept = [], []
        for indices in np.array_split(order, -(-len(order) // CHUNK)):
            batch = self._source.read(indices, np.zeros_like(indices))
            keep = np.ones(len(indices), bool)
            for name in (self._text, self.target):
                keep &= batch.get(name + MASK_SUFFIX, True)
            counts.append(self._counts(batch)[keep])
            kept.append(indices[keep])
        counts, kept = np.concatenate(counts), np.concatenate(kept)
        if not len(kept):
            raise ConfigError(
                f"baseline nearest_text: expected training examples with {self._text} and {self.target}, got none"
            )
        weights = np.float32(1) + np.log((1 + len(counts)) / (1 + (counts > 0).sum(0))).astype(np.float32)
        known = counts * weights
        return kept, weights, known / np.maximum(np.linalg.norm(known, axis=1, keepdims=True), 1e-12)

    def _counts(self, batch) -> np.ndarray:
        """`[B, vocab_size]`: how often each word stands in each text; padding, END and UNKNOWN are not counted."""
        ids = batch[self._text]
        counts = np.zeros((len(ids), self._vocab_size), np.float32)
        np.add.at(counts, (np.arange(len(ids))[:, None], ids), 1)
        counts[:, :NUM_SPECIAL] = 0
        return counts * np.asarray(batch.get(self._text + MASK_SUFFIX, np.ones(len(ids), bool)))[:, None]
