"""One frame of a clip, as a picture."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np

from mmgen_jax.config.ranges import Count
from mmgen_jax.data.transforms.pictures import clip
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Modality


@dataclasses.dataclass(frozen=True)
class Transform:
    """`[T, H, W, C]` to `[H, W, C]`.

    Args:
      index: of the frame, counted from 0.

    Raises:
      ConfigError: in `modality`: the clip has no such frame.
    """

    index: Count = 0

    takes_clips: ClassVar[bool] = True
    gives: ClassVar[str] = "image"

    def modality(self, of: Modality) -> Modality:
        num, *shape = clip("frame", of)
        if self.index >= num:
            raise ConfigError(f"transforms/frame.index: expected a frame from 0 to {num - 1}, got {self.index}")
        return Modality(self.gives, tuple(shape))

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return x[self.index]
