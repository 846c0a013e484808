"""The last frame of the given clip, in place of a later picture."""

from __future__ import annotations

from mmgen_jax.baselines.base import BaselineSampler
from mmgen_jax.config.system import build_system, open_source
from mmgen_jax.errors import ConfigError
from mmgen_jax.evaluators.picture_from_clip import resized
from mmgen_jax.modalities.space import is_clip, is_picture


class Baseline(BaselineSampler):
    """The last frame of the model's clip, enlarged or reduced to the target's size by bicubic resampling.

    Raises:
      ConfigError: the target is no picture, or the model has no condition, or several, that is a clip with 1 channel or
        as many as the target.
    """

    def __init__(self, config, target: str):
        super().__init__(config, target)
        modalities = open_source(config).modalities
        self._shape, channels = modalities[target].shape, modalities[target].shape[-1:]
        conditions = build_system(config, modalities).conditions
        clips = [name for name in conditions if is_clip(modalities[name].space)]
        fitting = [name for name in clips if modalities[name].shape[-1] in (1, *channels)]
        if not is_picture(modalities[target].space) or len(fitting) != 1:
            listed = ", ".join(f"{name} ({modalities[name].kind})" for name in conditions) or "none"
            raise ConfigError(
                "baseline last_frame: expected a picture as target and one clip with its channels as condition, got "
                f"target {target} ({modalities[target].kind}), conditions {listed}"
            )
        self._clip = fitting[0]

    def __call__(self, batch):
        return {self.target: resized(batch[self._clip][:, -1], self._shape)}
