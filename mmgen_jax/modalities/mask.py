"""The kind `mask`: `[H, W, 1]` float32, 1 in the hole of a picture (white), -1 elsewhere; zeros mean no mask."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from mmgen_jax.errors import BatchError, DataError
from mmgen_jax.modalities import image
from mmgen_jax.modalities.modality import Modality


@dataclasses.dataclass(frozen=True)
class Kind(image.Kind):
    """Files: as of pictures, but a picture in a folder is never read as a mask. Samples: as of pictures.

    A file of another size is resized by the nearest pixel, then cut at one half. The lighter half is the hole; so the
    file may be a PNG of 0 and 255, a picture of 1 bit, or a JPEG with blurred borders. Transparent pixels are white, as
    of any picture. Exception: a file with transparency but without dark opaque pixels holds white strokes on a
    transparent ground; its opaque pixels are the hole.
    """

    suffixes: ClassVar[tuple[str, ...]] = ()
    binary: ClassVar[bool] = True
    operations: ClassVar[Mapping[str, float]] = {"flip": 1, "rotate": 180, "crop": 1e4}

    @classmethod
    def of_folder(cls, fields, entries) -> Modality:
        raise DataError(entries[0][0], "mask", "kind", "pictures", "masks", "derive masks by config.derived")

    @classmethod
    def of_array(cls, fields, name: str, values: np.ndarray, about: Mapping[str, Any]) -> tuple[Modality, np.ndarray]:
        modality, pictures = super().of_array(fields, name, values, about)
        values = pictures.astype(np.float32)
        grey = (values / 127.5 - 1 if pictures.dtype == np.uint8 else values).mean(-1, keepdims=True)
        return Modality("mask", (*modality.shape[:2], 1)), threshold(grey)

    def check(self, name: str, present: np.ndarray) -> None:
        if not np.isin(present, (-1, 1)).all():
            odd = present[~np.isin(present, (-1, 1))][0]
            raise BatchError(f"batch[{name!r}].range (mask): expected -1 or 1 everywhere, got {odd}; cut it at 0")

    def read_file(self, path, name: str) -> np.ndarray:
        height, width, _ = self.modality.shape
        return read(path, name, (height, width))

    def of_picture(self, picture) -> np.ndarray:
        values = picture.values(1)
        if picture.alpha is not None and (values >= 0).all():
            values = picture.alpha / np.float32(127.5) - 1
        return threshold(values)

    def is_blind_to(self, operation: str) -> bool:
        return operation == "hue"

    def augment(self, settings: Mapping[str, Any], example, key):
        import jax.numpy as jnp

        turned = super().augment(settings, example, key)
        return jnp.where(turned > 0, 1.0, -1.0)


def read(path, name: str = "mask", size: tuple[int, int] | None = None) -> np.ndarray:
    """`[H, W, 1]` float32, 1 where the picture in a file is at least half white, else -1.

    Args:
      size: `(height, width)`, by the nearest pixel; None: the file's own.

    Raises:
      DataError: as `image.read`.
    """
    from PIL import Image

    opened = image.upright(path, name)
    grey = image.to_array(opened, (opened.height, opened.width, 1))[..., 0]
    if opened.has_transparency_data and (grey >= 0).all():
        grey = np.asarray(opened.convert("RGBA"))[..., -1] / np.float32(127.5) - 1
    if size is not None and grey.shape != tuple(size):
        grey = np.asarray(Image.fromarray(grey).resize((size[1], size[0]), Image.Resampling.NEAREST))
    return threshold(grey)[..., None]


def threshold(grey: np.ndarray) -> np.ndarray:
    """1 where a value in [-1, 1] is at least 0, else -1."""
    return np.where(grey >= 0, np.float32(1), np.float32(-1))
