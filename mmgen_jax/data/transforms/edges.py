"""The edges of a picture: the length of the gradient of the luma (Sobel), bright on black.

Derived pairs for translation: Isola et al. (2017) use holistically-nested edge detection (HED), a trained network; this
transform needs none.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from mmgen_jax.config.ranges import NotNegative, Positive
from mmgen_jax.data.transforms.pictures import like, picture
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.picture import LUMA


@dataclasses.dataclass(frozen=True)
class Transform:
    """`[H, W, C]` to `[H, W, 1]`: -1 where the luma is flat, 1 from a gradient of `full` on.

    Args:
      sigma: standard deviation of the Gaussian blur before the gradient, in px.
      full: gradient of the luma that counts as a full edge, in units of [0, 1] per px.
    """

    sigma: NotNegative = 0.7
    full: Positive = 0.25

    def modality(self, of: Modality) -> Modality:
        height, width, _ = picture("edges", of)
        return like(of, (height, width, 1))

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        from scipy import ndimage

        luma = (x[..., 0] if x.shape[-1] == 1 else x @ LUMA) / 2 + 0.5
        luma = ndimage.gaussian_filter(luma, self.sigma, mode="nearest") if self.sigma else luma
        gradient = np.hypot(*(ndimage.sobel(luma, axis, mode="nearest") / 8 for axis in (0, 1)))
        return (np.clip(gradient / self.full, 0, 1) * 2 - 1).astype(np.float32)[..., None]
