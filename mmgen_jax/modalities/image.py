"""The kind `image`: `[H, W, C]` float32 in [-1, 1], C being 1 or 3; zeros are mid-grey."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from absl import logging

from mmgen_jax.errors import ConfigError, DataError, InputError
from mmgen_jax.modalities import containers
from mmgen_jax.modalities.base import Base, Entries, finite, undecodable
from mmgen_jax.modalities.grid import save_grid, to_uint8
from mmgen_jax.modalities.modality import Modality

MAX_PIXELS = 2**26  # of one image or frame; more is taken for a decompression bomb
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "AVIF", "GIF")  # as Pillow names them


@dataclasses.dataclass(frozen=True)
class Kind(Base):
    """Files: PNG, JPEG, WebP, BMP, TIFF, AVIF, and a GIF of one picture.

    Samples: `<step>_<name>.png`, a grid with each picture's prompt under it.

    Augmentation: the meaning of each operation's strength (`operations` has the largest allowed strengths):

        flip        probability of a horizontal mirror image
        rotate      largest angle either way, in degrees; bilinear, border pixels repeated
        zoom        height and width are enlarged about the centre, each by a factor from 1 ± strength; as `rotate`
        crop        largest shift either way along both axes, in whole pixels; border pixels repeated
        brightness  largest value added to or subtracted from pixels in [0, 1]
        contrast, saturation   the factor is drawn from 1 ± strength
        hue         largest turn of the colour circle either way, as a share of the circle
        cutout      side of a square that is set to mid-grey, in whole pixels
    """

    ranks: ClassVar[tuple[int, ...]] = (3,)
    suffixes: ClassVar[tuple[str, ...]] = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".avif")
    eight_bits: ClassVar[bool] = True
    is_picture: ClassVar[bool] = True
    operations: ClassVar[Mapping[str, float]] = {
        **{"flip": 1, "rotate": 180, "crop": 1e4, "brightness": 1, "contrast": 1, "saturation": 1, "hue": 0.5},
        **{"cutout": 1e4, "zoom": 0.9},
    }

    @classmethod
    def of_folder(cls, fields, entries: Entries) -> Modality:
        return Modality("image", (fields.image_size, fields.image_size, fields.channels))

    @classmethod
    def of_array(cls, fields, name: str, values: np.ndarray, about: Mapping[str, Any]) -> tuple[Modality, np.ndarray]:
        pictures = of_arrays(fields, name, values[:, None])[:, 0]
        return Modality("image", pictures.shape[1:]), pictures

    @classmethod
    def check_header(cls, path, name: str) -> None:
        open_image(path, name).close()

    def read_file(self, path, name: str) -> np.ndarray:
        return read(path, self.modality.shape, name)

    def read_given(self, value: Any, name: str) -> list[np.ndarray]:
        examples = super().read_given(value, name)
        if self.is_picture and not self.binary:  # a mask is stretched
            picture, (height, width) = upright(value := os.path.expanduser(value), name), self.modality.shape[:2]
            if picture.height * width != picture.width * height:
                size, own = f"{picture.height} x {picture.width}", f"{height} x {width}"
                logging.warning("%s: %s px, cropped about the centre to the aspect of %s, %s", value, size, name, own)
        return examples

    def of_picture(self, picture) -> np.ndarray:
        return picture.values(self.modality.shape[-1])

    def frames(self, name: str, values: np.ndarray) -> np.ndarray:
        return to_uint8(finite(name, values))[:, None]

    def save(
        self, stem: pathlib.Path, name: str, samples: np.ndarray, captions: Sequence[str], seen: Mapping[str, Any]
    ) -> list[pathlib.Path]:
        return save_grid(stem, {**seen, name: self.frames(name, samples)}, list(captions))

    def save_alone(self, stem: pathlib.Path, name: str, sample: np.ndarray) -> list[pathlib.Path]:
        path = stem.with_name(stem.name + ".png")
        pictures_of(self.frames(name, sample[None])[0])[0].save(path)
        return [path]

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
    """`[H, W, C] float32` in [-1, 1] of a picture in one of FORMATS, C being 1 or 3.

    Converted: palette, CMYK and YCbCr to RGB; alpha (RGBA, LA, a transparent palette entry) composited on white; 16-bit
    grey kept to its full depth, 16-bit colour to its high byte; grey to 3 equal channels, colour to 1 by Rec. 601
    luma; EXIF orientation applied; of an animation or a file of several pages, the first picture. A picture of another
    size is cropped about its centre to the aspect H:W, then resized with an antialiased bicubic filter.

    Raises:
      DataError: unreadable, not one of these formats, truncated or corrupt, more than MAX_PIXELS, or a TIFF of floats
        or of 32 bits, whose range is not known.
    """
    return to_array(upright(path, modality), shape)


def pictures_of(frames: np.ndarray) -> list[Any]:
    """`[T, H, W, 1 or 3] uint8` as T PIL images, grey or RGB."""
    from PIL import Image

    return [Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame) for frame in frames]


def upright(path, modality: str = "image"):
    """The whole PIL image of a file, in its own mode and size, its EXIF orientation applied; errors as of `read`."""
    from PIL import ImageOps

    with open_image(path, modality) as opened:
        if opened.format == "TIFF" and opened.mode in ("F", "I"):
            expected, got = "8 or 16 bits a channel", {"F": "floats", "I": "32 bits"}[opened.mode]
            raise DataError(path, modality, "depth", expected, got, "convert it")
        try:
            opened.load()
            return ImageOps.exif_transpose(opened)
        except Exception as error:  # each codec has exceptions of its own
            raise undecodable(path, modality, "a whole image", error) from error


def of_arrays(fields, name: str, values: np.ndarray) -> np.ndarray:
    """`[N, T, H, W]` with or without channels, of any depth, as `[N, T, side, side, C]` uint8 or float32.

    Raises:
      DataError: another shape, or values that are neither uint8 nor floats in [0, 1] or in [-1, 1].
    """
    from PIL import Image

    if values.ndim == 4:
        values = values[..., None]
    if values.ndim == 5 and values.shape[2] in (1, 3) and values.shape[-1] not in (1, 3):
        values = np.moveaxis(values, 2, -1)
    if values.ndim != 5 or values.shape[-1] not in (1, 3) or 0 in values.shape:
        got = [values.shape[0], *values.shape[2 if values.shape[1] == 1 else 1 :]]
        raise DataError(fields.file, name, "shape", "pictures with 1 or 3 channels", got, "convert them")
    if values.dtype != np.uint8:
        low, high = float(values.min()), float(values.max())
        if not (low >= -1 and high <= 1) or values.dtype.kind != "f":
            expected, got = "uint8, or floats in [0, 1] or [-1, 1]", f"{values.dtype} from {low:.4g} to {high:.4g}"
            raise DataError(fields.file, name, "range", expected, got, "convert them")
        values = values.astype(np.float32)
        values = values * 2 - 1 if low >= 0 else values
    elif values.max() == 1:
        expected, got = "uint8 from 0 to 255", "uint8 of 0 and 1 alone, which are nearly black"
        raise DataError(fields.file, name, "range", expected, got, "multiply them by 255, or give floats")
    side = fields.image_size
    if not side or values.shape[2:4] == (side, side):
        return values
    shape = (side, side, values.shape[-1])
    flat = values.reshape(-1, *values.shape[2:])
    flat = flat if flat.dtype == np.uint8 else np.round((flat + 1) * 127.5).astype(np.uint8)
    resized = (to_array(Image.fromarray(p[..., 0] if shape[-1] == 1 else p), shape) for p in flat)
    flat = np.stack([np.round((picture + 1) * 127.5).astype(np.uint8) for picture in resized])
    return flat.reshape(*values.shape[:2], *shape)


def open_image(path, modality: str = "image"):
    """An open PIL image, of which only the header is read.

    Raises:
      DataError: as `read`, except for damage after the header.
    """
    from PIL import Image

    containers.check(path, modality)
    try:
        opened = Image.open(path, formats=FORMATS)
    except Exception as error:
        known = "a PNG, JPEG, WebP, BMP, TIFF, AVIF or GIF image"
        whole = "runcated" in str(error)  # as Pillow words it
        raise undecodable(path, modality, "a whole image" if whole else known, error) from error
    check_pixels(path, modality, *opened.size)
    return opened


def check_pixels(path, modality: str, width: int, height: int, most: int = MAX_PIXELS) -> None:
    """Raises DataError unless the number of pixels is from 1 to `most`."""
    if not 0 < width * height <= most:
        raise DataError(path, modality, "size", f"1 to {most} pixels", f"{width}x{height}", "shrink it or leave it out")


def to_array(picture, shape: tuple[int, ...]) -> np.ndarray:
    """A PIL image of any mode as `[H, W, C] float32` in [-1, 1], converted as `read` does; `shape` is `(H, W, C)`."""
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
