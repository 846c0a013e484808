"""White Gaussian noise."""

from __future__ import annotations

import dataclasses

import numpy as np

from mmgen_jax.config.ranges import NotNegative
from mmgen_jax.data.transforms.pictures import check_range, drawn, like, picture
from mmgen_jax.modalities.modality import Modality


@dataclasses.dataclass(frozen=True)
class Transform:
    """`[H, W, C]` to the same shape, cut off at [-1, 1].

    Args:
      sigma: standard deviation in grey levels of [0, 255], as in the literature of denoising: one number, or a range
        (low, high) from which each example draws.
    """

    sigma: NotNegative | tuple[NotNegative, NotNegative] = 25.0

    def __post_init__(self):
        check_range("noise.sigma", self.sigma)

    def modality(self, of: Modality) -> Modality:
        return like(of, picture("noise", of))

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        sigma = drawn(self.sigma, rng)
        return np.clip(x + np.float32(sigma / 127.5) * rng.standard_normal(x.shape, np.float32), -1, 1)
