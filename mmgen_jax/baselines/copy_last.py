"""The last frame of an aligned clip, repeated: the future without any motion."""

from __future__ import annotations

import numpy as np

from mmgen_jax.baselines.base import BaselineSampler
from mmgen_jax.config.system import open_source
from mmgen_jax.errors import ConfigError


class Baseline(BaselineSampler):
    """Every frame of the target is the last frame of the past, the only aligned clip with frames like the target's.

    Raises:
      ConfigError: a target that is no clip, or no such aligned clip, or several.
    """

    def __init__(self, config, target: str):
        super().__init__(config, target)
        modalities = open_source(config).modalities
        self._num, *frame = modalities[target].shape or (0,)
        aligned = tuple(config.get("aligned", ()))
        found = [name for name in aligned if len(frame) == 3 and modalities[name].shape[1:] == tuple(frame)]
        if len(found) != 1:
            raise ConfigError(
                f"baseline copy_last: expected one clip in config.aligned with frames like those of the target "
                f"{target!r} {list(modalities[target].shape)}, got {', '.join(found) or 'none'}"
            )
        self._past = found[0]

    def __call__(self, batch):
        return {self.target: np.repeat(np.asarray(batch[self._past])[:, -1:], self._num, axis=1)}
