"""What a model is compared with that was never trained: samples that evaluators measure as they measure a model's."""

from __future__ import annotations

import numpy as np

from mmgen_jax import system as systems
from mmgen_jax.config import ConfigError

NAMES = ("training_examples", "mean_example")
MOST_AVERAGED = 10_000


class Sampler:
    """Stands in for `sample.Sampler`: target arrays for any batch, whatever its conditions.

    training_examples  other examples of the training split, in an order drawn from `config.seed`, none twice in a pass:
                       what a perfect model of the data would draw, so the floor of a distance at that many examples
    mean_example       the mean of (at most 10,000) training examples: the best constant in squared error

    Raises:
      ConfigError: an unknown name, or a mean asked of a text or label.
    """

    def __init__(self, name: str, config, target: str):
        self._name, self._target, self.batch_size = name, target, config.train.batch_size
        self._source = systems.source(config, names=(target,))
        kind = self._source.modalities[target].kind
        if name not in NAMES:
            raise ConfigError(f"baseline: expected one of {', '.join(NAMES)}, got {name!r}")
        if name == "mean_example" and kind in ("text", "label"):
            raise ConfigError(
                f"baseline mean_example: expected an image, audio or video as target, got {target} ({kind})"
            )
        self._order, self._position = np.random.default_rng(config.seed).permutation(len(self._source)), 0
        self._mean = None

    def __call__(self, batch) -> dict[str, np.ndarray]:
        size = len(next(iter(batch.values())))
        if self._name == "mean_example":
            if self._mean is None:
                self._mean = self._average()
            return {self._target: np.broadcast_to(self._mean, (size, *self._mean.shape))}
        indices = self._order[(self._position + np.arange(size)) % len(self._order)]
        self._position += size
        return {self._target: self._source.read(indices, np.zeros(size, int))[self._target]}

    reconstruct = __call__

    def rewind(self) -> Sampler:
        self._position = 0
        return self

    def supports(self, method: str) -> bool:
        return method in ("sample", "reconstruct")

    def elbo(self, batch):
        raise ConfigError(
            f"baseline {self._name}: it has no likelihood; use a config without the evaluator `likelihood`"
        )

    def _average(self) -> np.ndarray:
        num = min(len(self._source), MOST_AVERAGED)
        total = 0.0
        for start in range(0, num, self.batch_size):
            indices = np.arange(start, min(start + self.batch_size, num))
            total += self._source.read(indices, np.zeros_like(indices))[self._target].sum(0, dtype=np.float64)
        return (total / num).astype(np.float32)
