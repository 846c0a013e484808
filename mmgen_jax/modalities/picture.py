"""A picture file at its own size and depth: the values that a model reads, and a drawn picture in the file's form."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import numpy as np

from mmgen_jax.modalities import image

GREY = ("1", "L", "LA", "La")  # Pillow's modes of at most 8 bits
OTHER_COLOURS = ("CMYK", "YCbCr", "LAB", "HSV")  # converted to RGB, so the file's ICC profile no longer applies
LUMA = np.array([0.299, 0.587, 0.114])  # of R, G, B (ITU-R BT.601)


@dataclasses.dataclass(frozen=True)
class Picture:
    """One picture, upright.

    Args:
      path: its file.
      colour: `[H, W, 1 or 3]` uint8; `[H, W, 1]` uint16 for grey with 16 bits.
      alpha: `[H, W, 1]` uint8, None without transparency.
      profile: the ICC profile of `colour`, None without one.
      cut: whether the file has colour of 16 bits a channel, of which `colour` has the high byte.
    """

    path: pathlib.Path
    colour: np.ndarray
    alpha: np.ndarray | None = None
    profile: bytes | None = None
    cut: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """`(height, width)` in pixels."""
        height, width = self.colour.shape[:2]
        return height, width

    def values(self, channels: int) -> np.ndarray:
        """`[H, W, channels]` float32 in [-1, 1], on white where transparent; converted as `image.read` does."""
        values = self.colour.astype(np.float32) * np.float32(2 / np.iinfo(self.colour.dtype).max) - 1
        if self.alpha is not None:
            values = 1 + (values - 1) * (self.alpha / np.float32(255))
        return of_channels(values, channels)

    def shrunk(self, shape: tuple[int, ...]) -> np.ndarray:
        """The whole picture as `shape [H, W, C]`, float32 in [-1, 1], stretched to these sides."""
        from PIL import Image

        channels = np.moveaxis(self.values(shape[-1]), -1, 0)
        size, how = (shape[1], shape[0]), Image.Resampling.BOX
        return np.stack([np.asarray(Image.fromarray(channel).resize(size, how)) for channel in channels], axis=-1)

    def completed(self, values: np.ndarray, hole: np.ndarray) -> np.ndarray:
        """`[H, W, C]` in [-1, 1]: drawn values in the hole `[H, W, 1]`, the file's own around it; grey stays grey."""
        if is_grey(self.colour):
            values = of_channels(of_channels(values, 1), values.shape[-1])
        return np.where(hole, values, self.values(values.shape[-1]))

    def drawn(self, values: np.ndarray, read: int, hole: np.ndarray | None = None) -> Any:
        """A PIL picture of drawn values `[H', W', C]` float32 in [-1, 1], in the form of this file.

        Where a model reads and draws colour, a grey file stays grey, and keeps 16 bits if it has them. A hole in a file
        of three equal channels is filled with grey. Where a model reads grey and draws colour, the colour is kept. The
        transparency is that of the file, resized to the drawn size.

        Args:
          read: number of channels that the model reads of the picture.
          hole: `[H, W, 1]` bool of the same size as the file; outside the hole, the pixels are those of the file.
        """
        from PIL import Image

        own = self.colour.shape[-1]
        channels = values.shape[-1] if read == 1 else min(own, values.shape[-1])
        channels = channels if hole is None else own
        if hole is not None and is_grey(self.colour):
            values = of_channels(of_channels(values, 1), own)
        alpha = None
        if self.alpha is not None:
            alpha = _resized(self.alpha, values.shape[0], values.shape[1])
            # The inverse of `values`; where alpha is 0, there is nothing to undo.
            values = np.where(alpha > 0, 1 + (values - 1) * (255 / np.maximum(alpha, np.float32(1))), values)
        dtype = self.colour.dtype if channels == 1 else np.dtype(np.uint8)
        half = np.iinfo(dtype).max / 2
        pixels = np.round((np.clip(of_channels(values, channels), -1, 1) + 1) * np.float32(half)).astype(dtype)
        if self.colour.shape == pixels.shape:
            drawn = np.ones((*self.size, 1), bool) if hole is None else hole
            pixels = np.where(drawn if alpha is None else drawn & (alpha > 0), pixels, self.colour)
        pixels = pixels if alpha is None else np.concatenate([pixels, alpha], axis=-1)
        picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
        if self.profile and channels == own:
            picture.info["icc_profile"] = self.profile
        return picture


def read(path, name: str) -> Picture:
    """The picture in a file.

    Raises:
      DataError: as `image.read`.
    """
    with image.open_image(path, name) as opened:
        cut = not opened.mode.startswith("I") and ";16" in str(opened.tile)
    upright = image.upright(path, name)
    profile = None if upright.mode in OTHER_COLOURS else upright.info.get("icc_profile")
    if upright.mode.startswith("I"):
        return Picture(pathlib.Path(path), np.asarray(upright).astype(np.uint16)[..., None], None, profile)
    mode = "L" if upright.mode in GREY else "RGB"
    if not upright.has_transparency_data:
        pixels = np.asarray(upright.convert(mode))
        colour, alpha = pixels.reshape(*pixels.shape[:2], -1), None
    else:
        pixels = np.asarray(upright.convert(mode + "A"))
        colour, alpha = pixels[..., :-1], pixels[..., -1:]
    if upright.mode.startswith("P") and is_grey(colour):
        colour, profile = colour[..., :1], None  # a palette of greys; its profile is one of colours
    return Picture(pathlib.Path(path), colour, alpha, profile, cut)


def is_grey(colour: np.ndarray) -> bool:
    """Whether the channels of `[..., C]` are equal."""
    return bool((colour == colour[..., :1]).all())


def of_channels(values: np.ndarray, channels: int) -> np.ndarray:
    """`[H, W, channels]` from `[H, W, 1 or 3]` float32: grey becomes three equal channels, colour becomes its luma."""
    if values.shape[-1] == channels:
        return values
    return np.repeat(values, 3, axis=-1) if channels == 3 else (values @ LUMA.astype(np.float32))[..., None]


def _resized(alpha: np.ndarray, height: int, width: int) -> np.ndarray:
    from PIL import Image

    if alpha.shape[:2] == (height, width):
        return alpha
    resized = Image.fromarray(alpha[..., 0]).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(resized)[..., None]
