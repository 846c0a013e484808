"""Black in place of the target: the best guess of a place where hardly any pixel is bright."""

from __future__ import annotations

import numpy as np

from mmgen_jax.baselines.base import BaselineSampler, num_examples
from mmgen_jax.config.system import open_source
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.space import is_clip, is_picture


class Baseline(BaselineSampler):
    """A picture or a clip whose values are all -1.

    Raises:
      ConfigError: a target of another kind.
    """

    def __init__(self, config, target: str):
        super().__init__(config, target)
        modality = open_source(config).modalities[target]
        if not (is_picture(modality.space) or is_clip(modality.space)):
            raise ConfigError(f"baseline black: expected a picture or a clip, got {target} ({modality.kind})")
        self._shape = modality.shape

    def __call__(self, batch):
        return {self.target: np.full((num_examples(batch), *self._shape), -1, np.float32)}

    def reconstruct(self, batch):
        return self(batch)
