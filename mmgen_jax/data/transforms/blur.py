"""Gaussian blur; the border repeats its pixels."""

from __future__ import annotations

import dataclasses

import numpy as np

from mmgen_jax.config.ranges import NotNegative
from mmgen_jax.data.transforms.pictures import check_range, drawn, like, picture
from mmgen_jax.modalities.modality import Modality


@dataclasses.dataclass(frozen=True)
class Transform:
    """`[H, W, C]` to the same shape.

    Args:
      sigma: standard deviation of the Gaussian in px: one number, or a range (low, high) from which each example draws.
    """

    sigma: NotNegative | tuple[NotNegative, NotNegative] = 1.5

    def __post_init__(self):
        check_range("blur.sigma", self.sigma)

    def modality(self, of: Modality) -> Modality:
        return like(of, picture("blur", of))

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        from scipy import ndimage

        sigma = drawn(self.sigma, rng)
        return ndimage.gaussian_filter(x, (sigma, sigma, 0), mode="nearest")
