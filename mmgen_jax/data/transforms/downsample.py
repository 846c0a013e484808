"""A smaller picture, by Pillow's bicubic resampling with antialiasing, or by every n-th pixel without."""

from __future__ import annotations

import dataclasses

import numpy as np

from mmgen_jax.config.ranges import Size
from mmgen_jax.data.transforms.pictures import like, picture
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Modality


@dataclasses.dataclass(frozen=True)
class Transform:
    """`[H, W, C]` to `[H / factor, W / factor, C]`.

    Args:
      factor: 1 or more; it divides both sides.
      antialiased: True: bicubic (a = -0.5) over `4 factor` px a side. False: the middle pixel of each cell of `factor`
        (of two middle ones the second), as a sensor without a low-pass filter.
    """

    factor: Size = 2
    antialiased: bool = True

    def modality(self, of: Modality) -> Modality:
        height, width, channels = picture("downsample", of)
        if height % self.factor or width % self.factor:
            raise ConfigError(
                f"transforms/downsample.factor: expected a divisor of {height} x {width}, got {self.factor}"
            )
        return like(of, (height // self.factor, width // self.factor, channels))

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        if not self.antialiased:
            middle = self.factor // 2
            return x[middle :: self.factor, middle :: self.factor]
        return bicubic(x, (x.shape[0] // self.factor, x.shape[1] // self.factor))


# How `bicubic` computes, for the entries of metrics.
BICUBIC = "Pillow, a = -0.5, in floats, the weights at the border divided by their sum"


def bicubic(x: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`[H, W, C]` in [-1, 1] resized to `(height, width)` by Pillow's bicubic; antialiased where it shrinks."""
    from PIL import Image

    planes = [
        np.asarray(Image.fromarray(plane).resize((size[1], size[0]), Image.Resampling.BICUBIC))
        for plane in np.moveaxis(np.asarray(x, np.float32), -1, 0)
    ]
    return np.clip(np.stack(planes, -1), -1, 1)
