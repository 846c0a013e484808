"""What every baseline shares: it stands in for a model's sampler, so that evaluators measure both alike."""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from mmgen_jax import lookup
from mmgen_jax.errors import ConfigError


def create(name: str, config, target: str) -> BaselineSampler:
    """The baseline of a name (a file of this folder), for a config and its target.

    Raises:
      ConfigError: an unknown name, or what the baseline cannot be made of.
    """
    names = lookup.available("baselines")
    if name not in names:
        raise ConfigError(f"baseline: expected one of {', '.join(names)}, got {name!r}")
    return lookup.find("baselines", name)(config, target)


class BaselineSampler:
    """Stands in for `runs.sampler.Sampler`: target arrays for any batch. What it does not define, it refuses."""

    def __init__(self, config, target: str):
        self.batch_size = config.train.batch_size
        self.target = target

    def rewind(self) -> BaselineSampler:
        return self

    def supports(self, method: str) -> bool:
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

    def _lacks(self, what: str, evaluator: str) -> NoReturn:
        name = type(self).__module__.rpartition(".")[2]
        raise ConfigError(f"baseline {name}: it has no {what}; use a config without the evaluator `{evaluator}`")


def num_examples(batch) -> int:
    return len(next(iter(batch.values())))
