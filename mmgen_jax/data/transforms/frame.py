"""One frame of a clip, as a picture."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np

from mmgen_jax.config.ranges import Share
from mmgen_jax.data.transforms.pictures import clip
from mmgen_jax.modalities.modality import Modality


@dataclasses.dataclass(frozen=True)
class Transform:
    """`[T, H, W, C]` to `[H, W, C]`.

    Args:
      at: the place of the frame as a share of the clip: 0 is the first frame, 0.5 frame `T // 2`, 1 the last frame.
    """

    at: Share = 0.5

    gives: ClassVar[str] = "image"  # the kind of the result, which differs from the kind of the input

    def modality(self, of: Modality) -> Modality:
        _, *shape = clip("frame", of)
        return Modality(self.gives, tuple(shape))

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return x[min(int(self.at * len(x)), len(x) - 1)]
