"""What a model is compared with: samples that evaluators measure as they measure a model's."""

from __future__ import annotations

import numpy as np

from mmgen_jax import system as systems
from mmgen_jax.config import ConfigError
from mmgen_jax.linear_probe import LinearProbe

NAMES = ("training_examples", "mean_example", "linear_probe")
MOST_AVERAGED = 10_000


class Sampler:
    """Stands in for `sample.Sampler`: target arrays for any batch.

    training_examples  other examples of the training split, in an order drawn from `config.seed`, none twice in a pass,
                       whatever the conditions: what a perfect model of the data would draw, so the floor of a distance
                       at that many examples
    mean_example       the mean of (at most 10,000) training examples: the best constant in squared error
    linear_probe       a label, by logistic regression on an image condition's pixels; these are its embedding

    Raises:
      ConfigError: an unknown name, a mean asked of a text or label, or what `LinearProbe` refuses.
    """

    def __init__(self, name: str, config, target: str):
        if name not in NAMES:
            raise ConfigError(f"baseline: expected one of {', '.join(NAMES)}, got {name!r}")
        self._name, self._target, self.batch_size = name, target, config.train.batch_size
        self._probe = LinearProbe(config, target) if name == "linear_probe" else None
        self._source = systems.source(config, names=(target,))
        kind = self._source.modalities[target].kind
        if name == "mean_example" and kind in ("text", "label"):
            raise ConfigError(
                f"baseline mean_example: expected an image, audio or video as target, got {target} ({kind})"
            )
        self._order, self._position = np.random.default_rng(config.seed).permutation(len(self._source)), 0
        self._mean = None

    def __call__(self, batch) -> dict[str, np.ndarray]:
        if self._probe:
            return {self._target: self._probe.predict(batch)}
        size = len(next(iter(batch.values())))
        if self._name == "mean_example":
            if self._mean is None:
                self._mean = self._average()
            return {self._target: np.broadcast_to(self._mean, (size, *self._mean.shape))}
        indices = self._order[(self._position + np.arange(size)) % len(self._order)]
        self._position += size
        return {self._target: self._source.read(indices, np.zeros(size, int))[self._target]}

    def rewind(self) -> Sampler:
        self._position = 0
        return self

    def supports(self, method: str) -> bool:
        return method in ("sample", "embed" if self._probe else "reconstruct")

    def reconstruct(self, batch) -> dict[str, np.ndarray]:
        if self._probe:
            raise self._lacks("reconstruction", "reconstruction")
        return self(batch)

    def embed(self, batch) -> np.ndarray:
        if not self._probe:
            raise self._lacks("embedding", "class_retrieval")
        return self._probe.embed(batch)

    def embed_pair(self, batch):
        raise self._lacks("embedding of two modalities", "retrieval_recall")

    def elbo(self, batch):
        raise self._lacks("likelihood", "likelihood")

    def _lacks(self, what: str, evaluator: str) -> ConfigError:
        return ConfigError(f"baseline {self._name}: it has no {what}; use a config without the evaluator `{evaluator}`")

    def _average(self) -> np.ndarray:
        num = min(len(self._source), MOST_AVERAGED)
        total = 0.0
        for start in range(0, num, self.batch_size):
            indices = np.arange(start, min(start + self.batch_size, num))
            total += self._source.read(indices, np.zeros_like(indices))[self._target].sum(0, dtype=np.float64)
        return (total / num).astype(np.float32)
