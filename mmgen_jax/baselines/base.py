"""The base class of baselines. A baseline takes the place of a model's sampler, so evaluators measure both alike."""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from mmgen_jax import lookup
from mmgen_jax.errors import ConfigError


def create(name: str, config, target: str) -> BaselineSampler:
    """The baseline `name` (a file of this folder) for a config and its target.

    Raises:
      ConfigError: an unknown name, or a config that the baseline does not suit.
    """
    names = lookup.available("baselines")
    if name not in names:
        raise ConfigError(f"baseline: expected one of {', '.join(names)}, got {name!r}")
    return lookup.find("baselines", name)(config, target)


class BaselineSampler:
    """Takes the place of `runs.sampler.Sampler`: gives an array of the target for each example of a batch.

    A method that the subclass does not define raises a ConfigError that names the evaluator to leave out.
    """

    def __init__(self, config, target: str):
        self.batch_size = config.train.batch_size
        self.target = target

    def rewind(self) -> BaselineSampler:
        """Starts again with the first draw; called before every evaluator."""
        return self

    def supports(self, method: str) -> bool:
        """Whether the baseline defines `method`: `sample`, `reconstruct`, `embed`, `embed_pair` or `elbo`."""
        return method == "sample" or getattr(type(self), method) is not getattr(BaselineSampler, method)

    def __call__(self, batch) -> dict[str, np.ndarray]:
        raise NotImplementedError

    def reconstruct(self, batch) -> dict[str, np.ndarray]:
        self._lacks("reconstruction", "reconstruction")

    def embed(self, batch) -> np.ndarray:
        self._lacks("embedding", "class_retrieval")

    def embed_pair(self, batch) -> tuple[np.ndarray, np.ndarray]:
        self._lacks("embedding of two modalities", "retrieval_recall")

    def elbo(self, batch) -> np.ndarray:
        self._lacks("likelihood", "likelihood")

    def log_weights(self, batch, num: int = 1, chunk: int = 0) -> np.ndarray:
        self._lacks("likelihood", "importance_likelihood")

    def _lacks(self, what: str, evaluator: str) -> NoReturn:
        name = type(self).__module__.rpartition(".")[2]
        raise ConfigError(f"baseline {name}: it has no {what}; use a config without the evaluator `{evaluator}`")


def num_examples(batch) -> int:
    """The batch size B of a batch."""
    return len(next(iter(batch.values())))
