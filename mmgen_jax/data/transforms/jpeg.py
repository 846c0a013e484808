"""Compression by JPEG (Pillow's encoder, chroma at half resolution), and back."""

from __future__ import annotations

import dataclasses
import io
from typing import Annotated

import numpy as np

from mmgen_jax.config.ranges import Range
from mmgen_jax.data.transforms.pictures import check_range, drawn, like, picture
from mmgen_jax.modalities.modality import Modality

Quality = Annotated[int, Range(1, 95)]  # coarse to fine


@dataclasses.dataclass(frozen=True)
class Transform:
    """`[H, W, C]` to the same shape.

    Args:
      quality: 1 (coarse) to 95: one number, or a range (low, high) from which each example draws.

    Raises:
      ConfigError: a quality out of this range.
    """

    quality: Quality | tuple[Quality, Quality] = (10, 50)

    def __post_init__(self):
        check_range("jpeg.quality", self.quality)

    def modality(self, of: Modality) -> Modality:
        return like(of, picture("jpeg", of))

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        from PIL import Image

        pixels = np.round((x + 1) * 127.5).astype(np.uint8)
        file = io.BytesIO()
        quality = round(drawn(self.quality, rng))
        Image.fromarray(pixels[..., 0] if x.shape[-1] == 1 else pixels).save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file), np.float32).reshape(x.shape) / 127.5 - 1
