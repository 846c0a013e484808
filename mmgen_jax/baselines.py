"""What a model is compared with: samples that evaluators measure as they measure a model's."""

from __future__ import annotations

import functools

import numpy as np

from mmgen_jax import linear_probe
from mmgen_jax import system as systems
from mmgen_jax.config import ConfigError
from mmgen_jax.features.text import NUM_SPECIAL
from mmgen_jax.modalities import MASK_SUFFIX

MOST_AVERAGED = 10_000
CHUNK = 1024  # examples read at once


def create(name: str, config, target: str) -> Baseline:
    """The baseline of a name in `NAMES`, for a config and its target.

    Raises:
      ConfigError: an unknown name, or what the baseline cannot be made of.
    """
    if name not in NAMES:
        raise ConfigError(f"baseline: expected one of {', '.join(NAMES)}, got {name!r}")
    return NAMES[name](config, target)


class Baseline:
    """Stands in for `sample.Sampler`: target arrays for any batch. What it does not define, it refuses."""

    def __init__(self, config, target: str):
        self.batch_size = config.train.batch_size
        self.target = target

    def rewind(self) -> Baseline:
        return self

    def supports(self, method: str) -> bool:
        return method == "sample" or getattr(type(self), method) is not getattr(Baseline, method)

    def reconstruct(self, batch) -> dict[str, np.ndarray]:
        raise self._lacks("reconstruction", "reconstruction")

    def embed(self, batch) -> np.ndarray:
        raise self._lacks("embedding", "class_retrieval")

    def embed_pair(self, batch):
        raise self._lacks("embedding of two modalities", "retrieval_recall")

    def elbo(self, batch):
        raise self._lacks("likelihood", "likelihood")

    def _lacks(self, what: str, evaluator: str) -> ConfigError:
        name = next(name for name, kind in NAMES.items() if isinstance(self, kind))
        return ConfigError(f"baseline {name}: it has no {what}; use a config without the evaluator `{evaluator}`")


class TrainingExamples(Baseline):
    """Other examples of the training split, in an order drawn from `config.seed`, whatever the conditions.

    None comes twice in a pass. It is what a perfect model of the data would draw, so the floor of a distance at that
    many examples.
    """

    def __init__(self, config, target: str):
        super().__init__(config, target)
        self._source = systems.source(config, names=(target,))
        self._order, self._position = np.random.default_rng(config.seed).permutation(len(self._source)), 0

    def __call__(self, batch):
        size = _size(batch)
        indices = self._order[(self._position + np.arange(size)) % len(self._order)]
        self._position += size
        return {self.target: self._source.read(indices, np.zeros(size, int))[self.target]}

    def rewind(self):
        self._position = 0
        return self

    def reconstruct(self, batch):
        return self(batch)


class MeanExample(Baseline):
    """The mean of (at most 10,000) training examples: the best constant in squared error."""

    def __init__(self, config, target: str):
        super().__init__(config, target)
        self._source = systems.source(config, names=(target,))
        kind = self._source.modalities[target].kind
        if kind in ("text", "label"):
            raise ConfigError(
                f"baseline mean_example: expected an image, audio or video as target, got {target} ({kind})"
            )

    def __call__(self, batch):
        return {self.target: np.broadcast_to(self._mean, (_size(batch), *self._mean.shape))}

    def reconstruct(self, batch):
        return self(batch)

    @functools.cached_property
    def _mean(self) -> np.ndarray:
        num = min(len(self._source), MOST_AVERAGED)
        total = 0.0
        for start in range(0, num, self.batch_size):
            indices = np.arange(start, min(start + self.batch_size, num))
            total += self._source.read(indices, np.zeros_like(indices))[self.target].sum(0, dtype=np.float64)
        return (total / num).astype(np.float32)


class NearestText(Baseline):
    """The training example whose text is nearest to the one text condition: retrieval in place of generation.

    Texts are bags of words, and nearness is the cosine of their tf-idf: each word counts as often as it stands there
    times `1 + log((1 + N) / (1 + n))`, where n of N training texts have it. Among equals, and where no word is shared
    or the text is missing, an order drawn from `config.seed` decides. Examples that lack the text or the target do not
    count. The tf-idf of all training texts is in memory, 4 bytes for each and each word of the vocabulary.
    """

    def __init__(self, config, target: str):
        super().__init__(config, target)
        self._source, self._seed = systems.source(config), config.seed
        modalities = self._source.modalities
        kinds = {name: modality.kind for name, modality in modalities.items()}
        conditions = systems.build(config, modalities).conditions
        texts = [name for name in conditions if kinds[name] == "text"]
        if len(texts) != 1:
            conditions = ", ".join(f"{name} ({kinds[name]})" for name in conditions) or "none"
            raise ConfigError(f"baseline nearest_text: expected one text among the conditions, got {conditions}")
        self._text, self._vocab_size = texts[0], modalities[texts[0]].vocab_size

    def __call__(self, batch):
        indices, weights, known = self._known
        nearest = indices[np.argmax(self._counts(batch) * weights @ known.T, axis=1)]  # the first among equals
        return {self.target: self._source.read(nearest, np.zeros_like(nearest))[self.target]}

    @functools.cached_property
    def _known(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Training examples in the order that ties go by, the words' idf, and the examples' tf-idf of length 1."""
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
        """`[B, vocab_size]`, how often each word stands there; what is no word of the vocabulary does not count."""
        ids = batch[self._text]
        counts = np.zeros((len(ids), self._vocab_size), np.float32)
        np.add.at(counts, (np.arange(len(ids))[:, None], ids), 1)
        counts[:, :NUM_SPECIAL] = 0
        return counts * np.asarray(batch.get(self._text + MASK_SUFFIX, np.ones(len(ids), bool)))[:, None]


class LinearProbe(Baseline):
    """A label, by logistic regression on an image condition's pixels; these are its embedding (`linear_probe.py`)."""

    def __init__(self, config, target: str):
        super().__init__(config, target)
        self._probe = linear_probe.LinearProbe(config, target)

    def __call__(self, batch):
        return {self.target: self._probe.predict(batch)}

    def embed(self, batch):
        return self._probe.embed(batch)


NAMES = {
    "training_examples": TrainingExamples,
    "mean_example": MeanExample,
    "nearest_text": NearestText,
    "linear_probe": LinearProbe,
}


def _size(batch) -> int:
    return len(next(iter(batch.values())))
