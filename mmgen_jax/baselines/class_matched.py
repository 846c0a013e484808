"""Random training examples with the classes of the held-out split: the floor of distances where class shares differ."""

from __future__ import annotations

import itertools

import numpy as np

from mmgen_jax.baselines.base import BaselineSampler, num_examples
from mmgen_jax.config.system import held_out_split, open_source
from mmgen_jax.errors import ConfigError
from mmgen_jax.evaluators.measures import examples


class Baseline(BaselineSampler):
    """Targets of training examples: the i-th is of the class of the i-th measured example of the held-out split.

    So the class shares are those of the split. Within a class, the order is drawn from `config.seed`; no example is
    drawn twice before all examples of its class are drawn once. `training_examples` has the class shares of the
    training split instead.

    Raises:
      ConfigError: no evaluator of the config has a `label`, or a class of the held-out split has no training example.
    """

    def __init__(self, config, target: str):
        super().__init__(config, target)
        labels = [fields["label"] for fields in config.evaluators.values() if fields.get("label")]
        if not labels:
            raise ConfigError("baseline class_matched: expected an evaluator with a `label`, got none; add one")
        self._source = open_source(config, names=(target,))
        own, held_out = (_labels(config, split, labels[0]) for split in ("", held_out_split(config)))
        order = np.random.default_rng(config.seed).permutation(len(own))
        members = {name: order[own[order] == name] for name in np.unique(held_out)}
        if missing := [name for name, rows in members.items() if not len(rows)]:
            raise ConfigError(f"baseline class_matched: expected training examples of class {missing[0]}, got none")
        drawn = {name: itertools.cycle(rows) for name, rows in members.items()}
        self._indices = np.array([next(drawn[name]) for name in held_out[examples.order(len(held_out))]])
        self._position = 0

    def __call__(self, batch):
        size = num_examples(batch)
        indices = self._indices[(self._position + np.arange(size)) % len(self._indices)]
        self._position += size
        return {self.target: self._source.read(indices, np.zeros(size, int))[self.target]}

    def rewind(self):
        self._position = 0
        return self


def _labels(config, split: str, name: str) -> np.ndarray:
    source = open_source(config, split, names=(name,))
    indices = np.arange(len(source))
    return np.concatenate(
        [source.read(part, np.zeros_like(part))[name] for part in np.array_split(indices, -(-len(indices) // 256))]
    )
