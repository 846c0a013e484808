"""The mean training example in the representation of the config, decoded: of `log_mel`, the mean spectrogram."""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np

from mmgen_jax.baselines.base import BaselineSampler, num_examples
from mmgen_jax.config.system import build_system, open_source
from mmgen_jax.errors import ConfigError

MAX_AVERAGED = 2000  # examples


class Baseline(BaselineSampler):
    """The decoded mean of the codes of the first `MAX_AVERAGED` training examples.

    Raises:
      ConfigError: the target has no representation, or one that is trained.
    """

    def __init__(self, config, target: str):
        super().__init__(config, target)
        source = open_source(config)
        code: Any = getattr(build_system(config, source.modalities).objective, "code", None)
        if code is None or not config.get("representation") or code.players:
            raise ConfigError(
                "baseline mean_code: expected a config with a representation that is not trained, as log_mel; use "
                "mean_example"
            )
        self._code = code
        self._source = open_source(config, names=(target,))

    def __call__(self, batch):
        return {self.target: np.broadcast_to(self._mean, (num_examples(batch), *self._mean.shape))}

    @functools.cached_property
    def _mean(self) -> np.ndarray:
        num, encode = min(len(self._source), MAX_AVERAGED), jax.jit(functools.partial(self._code.encode, {}, {}))
        total = np.zeros(())
        for start in range(0, num, self.batch_size):
            indices = np.arange(start, min(start + self.batch_size, num))
            codes = encode(self._source.read(indices, np.zeros_like(indices))[self.target])
            total = total + np.asarray(codes).sum(0, dtype=np.float64)
        mean = (total / num).astype(np.float32)[None]
        return np.asarray(self._code.decode({}, {}, mean))[0]
