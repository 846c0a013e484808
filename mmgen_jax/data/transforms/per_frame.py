"""A transform of pictures, applied to every frame of a clip: a clip in grey, of a quarter of the size, as edges."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from mmgen_jax import lookup
from mmgen_jax.data.transforms.pictures import clip
from mmgen_jax.modalities.modality import Modality


@dataclasses.dataclass(frozen=True)
class Transform:
    """`[T, H, W, C]` to `[T, H', W', C']`.

    Args:
      transform: the fields of a transform that reads one picture, e.g. `{"name": "downsample", "factor": 4}`.
      same_draws: True: all frames of a clip have the same draws, so that a mask does not flicker. False: each frame has
        draws of its own, as the noise of a sensor.
    """

    transform: Mapping[str, Any]
    same_draws: bool = True

    def __post_init__(self):
        _ = self._of_frame

    @functools.cached_property
    def _of_frame(self) -> Any:
        return lookup.build("transforms", dict(self.transform), "transforms/per_frame.transform")

    def modality(self, of: Modality) -> Modality:
        num, *frame = clip("per_frame", of)
        changed = self._of_frame.modality(Modality("image", tuple(frame)))
        return dataclasses.replace(of, shape=(num, *changed.shape))

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        state = rng.bit_generator.state
        frames = []
        for frame in x:
            if self.same_draws:
                rng.bit_generator.state = state
            frames.append(self._of_frame(frame, rng=rng))
        return np.stack(frames)
