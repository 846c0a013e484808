"""The aligned source as it is, in place of the target: a model that changes nothing, such as a photo with its hole."""

from __future__ import annotations

from mmgen_jax.baselines.base import BaselineSampler
from mmgen_jax.config.system import open_source
from mmgen_jax.errors import ConfigError


class Baseline(BaselineSampler):
    """The aligned source that has the target's shape.

    Raises:
      ConfigError: none of the sources, or several, have the target's shape.
    """

    def __init__(self, config, target: str):
        super().__init__(config, target)
        modalities = open_source(config).modalities
        aligned = config.get("aligned", ())
        aligned = (aligned,) if isinstance(aligned, str) else tuple(aligned)
        fitting = [name for name in aligned if modalities[name].shape == modalities[target].shape]
        if len(fitting) != 1:
            listed = ", ".join(f"{name} {list(modalities[name].shape)}" for name in aligned) or "none"
            raise ConfigError(
                f"baseline source: expected one aligned source of the target's shape {list(modalities[target].shape)}, "
                f"got {listed}"
            )
        self._source = fitting[0]

    def __call__(self, batch):
        return {self.target: batch[self._source]}
