"""The kind `image`: `[H, W, C]` float32 in [-1, 1], C being 1 or 3; zeros are mid-grey."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from mmgen_jax.errors import ConfigError, DataError, InputError
from mmgen_jax.modalities import containers
from mmgen_jax.modalities.base import Base, Entries, finite, undecodable
from mmgen_jax.modalities.grid import save_grid, to_uint8
from mmgen_jax.modalities.modality import Modality

MAX_PIXELS = 2**26  # of one image or frame; more is taken for a decompression bomb


@dataclasses.dataclass(frozen=True)
class Kind(Base):
    """Files: PNG, JPEG, WebP. Samples: `<step>_<name>.png`, a grid with each picture's prompt under it.

    Augmentation, with the largest strengths:

        flip        probability of a horizontal mirror image
        rotate      at most so many degrees either way, bilinear, border repeated
        crop        shift of at most so many whole pixels either way along both axes, border repeated
        brightness  at most so much added to or taken from values in [0, 1]
        contrast, saturation   factor in 1 ± strength
        hue         at most this part of the colour circle either way
        cutout      side in whole pixels of a square set to mid-grey
    """

    ranks: ClassVar[tuple[int, ...]] = (3,)
    suffixes: ClassVar[tuple[str, ...]] = (".png", ".jpg", ".jpeg", ".webp")
    eight_bits: ClassVar[bool] = True
    operations: ClassVar[Mapping[str, float]] = {
        **{"flip": 1, "rotate": 180, "crop": 1e4, "brightness": 1, "contrast": 1, "saturation": 1, "hue": 0.5},
        "cutout": 1e4,
    }

    @classmethod
    def of_folder(cls, fields, entries: Entries) -> Modality:
        return Modality("image", (fields.image_size, fields.image_size, fields.channels))

    @classmethod
    def check_header(cls, path, name: str) -> None:
        open_image(path, name).close()

    def read_file(self, path, name: str) -> np.ndarray:
        return read(path, self.modality.shape, name)

    def frames(self, name: str, values: np.ndarray) -> np.ndarray:
        return to_uint8(finite(name, values))[:, None]

    def save(
        self, stem: pathlib.Path, name: str, samples: np.ndarray, captions: Sequence[str], seen: Mapping[str, Any]
    ) -> list[pathlib.Path]:
        return [save_grid(stem, {**seen, name: self.frames(name, samples)}, list(captions))]

    def check_augmentation(self, where: str, operation: str, strength: Any, settings: Mapping[str, Any]) -> None:
        super().check_augmentation(where, operation, strength, settings)
        *_, height, width, channels = self.modality.shape
        if operation in ("saturation", "hue") and strength and channels != 3:
            raise InputError(f"{where}: needs 3 channels, got {channels}; leave it out")
        side = min(height, width)
        if operation in ("crop", "cutout") and (strength != int(strength) or strength > side):
            raise InputError(f"{where}: expected whole pixels, at most {side}, got {strength}")

    def is_blind_to(self, operation: str) -> bool:
        return operation == "hue" and self.modality.shape[-1] == 1

    def augment(self, settings: Mapping[str, Any], example, key):
        from mmgen_jax.modalities import augmentation

        return augmentation.pictures(example[None], settings, key)[0]


def read(path, shape: tuple[int, ...], modality: str = "image") -> np.ndarray:
    """`[H, W, C] float32` in [-1, 1] of a PNG, JPEG or WebP file, C being 1 or 3.

    Converted: palette, CMYK and YCbCr to RGB; alpha (RGBA, LA, a transparent palette entry) composited on white; 16-bit
    grey kept to its full depth, 16-bit colour to its high byte; grey to 3 equal channels, colour to 1 by Rec. 601
    luma; EXIF orientation applied; of an animation the first frame. Another size is cropped about its centre to the
    aspect H:W, then resized with an antialiased bicubic filter.

    Raises:
      DataError: unreadable, not one of these formats, truncated or corrupt, or more than MAX_PIXELS.
    """
    from PIL import ImageOps

    with open_image(path, modality) as opened:
        try:
            opened.load()
            upright = ImageOps.exif_transpose(opened)
        except Exception as error:  # each codec has exceptions of its own
            raise undecodable(path, modality, "a whole image", error) from error
    return to_array(upright, shape)


def open_image(path, modality: str = "image"):
    """The PIL image with only its header read; raises as `read` does, but for damage after the header."""
    from PIL import Image

    containers.check(path, modality)
    try:
        opened = Image.open(path, formats=("PNG", "JPEG", "WEBP"))
    except Exception as error:
        raise undecodable(path, modality, "a PNG, JPEG or WebP image", error) from error
    check_pixels(path, modality, *opened.size)
    return opened


def check_pixels(path, modality: str, width: int, height: int) -> None:
    if not 0 < width * height <= MAX_PIXELS:
        raise DataError(
            path, modality, "size", f"1 to {MAX_PIXELS} pixels", f"{width}x{height}", "shrink it or leave it out"
        )


def to_array(picture, shape: tuple[int, ...]) -> np.ndarray:
    """A PIL image of any mode as `[H, W, C] float32` in [-1, 1]."""
    from PIL import Image

    height, width, channels = shape
    if channels not in (1, 3):
        raise ConfigError(f"image shape {shape}: expected 1 or 3 channels, got {channels}")
    scale = 255.0
    if picture.mode.startswith("I"):
        picture, scale = Image.fromarray(np.asarray(picture, np.float32)), 65535.0
    elif picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    if picture.mode != "F":
        picture = picture.convert("RGB" if channels == 3 else "L")
    aspect = min(picture.width / width, picture.height / height)
    left, top = (picture.width - aspect * width) / 2, (picture.height - aspect * height) / 2
    box = (left, top, picture.width - left, picture.height - top)
    resized = np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC, box), np.float32)
    resized = resized.reshape(height, width, -1) * (2 / scale) - 1
    return np.broadcast_to(np.clip(resized, -1, 1), shape).copy()  # bicubic overshoots in float mode
