"""The mean training example in the representation of the config, decoded: of `log_mel`, the mean spectrogram."""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np

from mmgen_jax.baselines import mean_example
from mmgen_jax.config.system import build_system, open_source
from mmgen_jax.errors import ConfigError


class Baseline(mean_example.Baseline):
    """The decoded mean of the codes of the training examples that `mean_example` averages.

    Raises:
      ConfigError: the target has no representation, or the representation is trained.
    """

    def __init__(self, config, target: str):
        super().__init__(config, target)
        code: Any = getattr(build_system(config, open_source(config).modalities).objective, "code", None)
        if code is None or not config.get("representation") or code.players:
            raise ConfigError(
                "baseline mean_code: expected a config with a representation that is not trained, as log_mel; use "
                "mean_example"
            )
        self._code, self._compiled = code, jax.jit(functools.partial(code.encode, {}, {}))

    def _encode(self, targets: np.ndarray) -> np.ndarray:
        return np.asarray(self._compiled(targets))

    def _decode(self, mean: np.ndarray) -> np.ndarray:
        return np.asarray(self._code.decode({}, {}, mean[None]))[0]
