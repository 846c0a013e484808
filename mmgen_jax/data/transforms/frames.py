"""A part of a clip: consecutive frames, such as the past or the future of a clip that a model continues."""

from __future__ import annotations

import dataclasses

import numpy as np

from mmgen_jax.config.ranges import Share
from mmgen_jax.data.transforms.pictures import clip
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Modality


@dataclasses.dataclass(frozen=True)
class Transform:
    """`[T, H, W, C]` to frames from `round(start T)` to before `round(stop T)`, at least one.

    Args:
      start, stop: the ends of the part, as shares of the clip: 0 and 0.5 are its first half.

    Raises:
      ConfigError: a part that ends before it starts.
    """

    start: Share = 0.0
    stop: Share = 1.0

    def __post_init__(self):
        if not self.start < self.stop:
            raise ConfigError(
                f"transforms/frames: expected a start before the stop, got {self.start:g} and {self.stop:g}"
            )

    def modality(self, of: Modality) -> Modality:
        total, *frame = clip("frames", of)
        part = self._part(total)
        return dataclasses.replace(of, shape=(part.stop - part.start, *frame))

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return x[self._part(len(x))]

    def _part(self, total: int) -> slice:
        start = min(round(self.start * total), total - 1)
        return slice(start, max(round(self.stop * total), start + 1))
