"""A part of a clip: successive frames, or every n-th frame; the past and the future of a clip are two such parts."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np

from mmgen_jax.config.ranges import Count, Size
from mmgen_jax.data.transforms.pictures import clip
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Modality


@dataclasses.dataclass(frozen=True)
class Transform:
    """`[T, H, W, C]` to the frames `start`, `start + step`, … before `stop`, `[N, H, W, C]`.

    Args:
      start: the first frame, counted from 0.
      stop: the frame behind the last frame; 0: all frames from `start` on.
      step: distance of the frames; the frame rate is divided by it.

    Raises:
      ConfigError: in `modality`: the clip has no frame between `start` and `stop`, or it ends before `stop`.
    """

    start: Count = 0
    stop: Count = 0
    step: Size = 1

    takes_clips: ClassVar[bool] = True

    def modality(self, of: Modality) -> Modality:
        num, *frame = clip("frames", of)
        if not self.start < (self.stop or num) <= num:
            raise ConfigError(
                f"transforms/frames: expected start < stop <= {num}, the number of frames, got start {self.start}, "
                f"stop {self.stop}"
            )
        kept = len(range(num)[self._slice])
        return dataclasses.replace(of, shape=(kept, *frame), frame_rate=of.frame_rate / self.step)

    @property
    def _slice(self) -> slice:
        return slice(self.start, self.stop or None, self.step)

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return x[self._slice]
