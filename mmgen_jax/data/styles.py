"""Styles: small pictures whose colours and strokes are transferred to photos; emoji, textures, or the user's pictures.

- image: a part of a picture, or the middle of a glyph.

Without `directory`: the middles of the glyphs of the emoji set (`data/emoji.py`, its splits), and parts of PICTURES,
textures and photos that scikit-image includes (`pip install scikit-image`; nothing is downloaded; licences:
`skimage/data/README.txt`). With `directory`: parts of every picture in this folder.

Splits: the left half of a picture is train, the third quarter validation, the fourth quarter test. So the parts of two
splits show the same style and share no pixel. A part is a square as high as a quarter of the picture's shorter side.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import pathlib
from typing import ClassVar

import numpy as np

from mmgen_jax.config.ranges import Side, Size
from mmgen_jax.data import emoji, fingerprint, local
from mmgen_jax.errors import DataError
from mmgen_jax.modalities.modality import Modality

# Of scikit-image's wheel: surfaces, and photos whose parts are surfaces.
PICTURES = (
    "brick.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "moon.png",
    "retina.jpg",
    "rocket.jpg",
)
GLYPH = 128  # px, the side of a glyph
MIDDLE = 2 / 3  # of a glyph's side, so that colours and not its white surroundings fill the picture
EXTENT = {"train": (0.0, 0.5), "validation": (0.5, 0.75), "test": (0.75, 1.0)}  # of the width


@dataclasses.dataclass(kw_only=True)
class Source(local.LocalSource):
    """Styles.

    Args:
      split: `train`, `validation` or `test`.
      names: `image`, or () for all.
      directory: of pictures, subfolders included; "" is the emoji set and scikit-image's pictures.
      image_size: side in pixels.
      parts: number of parts of each training picture, rounded to a square grid with equal distances; in other splits,
        as many parts as fit side by side.

    Raises:
      DataError: the folder has no picture, or scikit-image is not installed.
    """

    available: ClassVar[tuple[str, ...]] = ("image",)
    layout: ClassVar[tuple[str, ...]] = ()
    home: ClassVar[str] = "https://github.com/scikit-image/scikit-image, folder src/skimage/data"

    image_size: Side = 64
    parts: Size = 64

    def _find(self) -> pathlib.Path:
        if self.directory:
            return pathlib.Path(os.path.expanduser(self.directory))
        found = importlib.util.find_spec("skimage")
        folder = pathlib.Path(found.origin).parent / "data" if found and found.origin else None
        if folder is None or not all((folder / name).is_file() for name in PICTURES):
            advice = "pip install scikit-image, or set data.directory to a folder of pictures"
            raise self.error("skimage/data", "image", "directory", "scikit-image's pictures", "none", advice)
        return folder

    def _load(self) -> None:
        modality = Modality("image", (self.image_size, self.image_size, 3))
        self.modalities = {"image": modality}
        self._glyphs: emoji.Source | None = None
        columns = [np.zeros((0, *modality.shape), np.uint8)]
        if not self.directory:
            self._glyphs = emoji.Source(split=self.split, names=("image",), image_size=GLYPH)
            for rows in np.array_split(np.arange(len(self._glyphs)), 16):
                glyphs = self._glyphs.read(rows, np.zeros_like(rows))["image"]
                columns.append(self._middles(local.to_integer(glyphs), modality))
        columns += [self._parts(path, modality) for path in self._files()]
        self._columns["image"] = np.concatenate(columns)
        self._rows = np.arange(len(self._columns["image"]))

    def _middles(self, glyphs: np.ndarray, modality: Modality) -> np.ndarray:
        """`[n, H, W, C] uint8` of glyphs `[n, GLYPH, GLYPH, 3] uint8`."""
        from PIL import Image

        from mmgen_jax.modalities import image

        margin = round(GLYPH * (1 - MIDDLE) / 2)
        inside = glyphs[:, margin : GLYPH - margin, margin : GLYPH - margin]
        return local.to_integer(np.stack([image.to_array(Image.fromarray(x), modality.shape) for x in inside]))

    def _files(self) -> list[pathlib.Path]:
        if not self.directory:
            return [self.root / name for name in PICTURES]
        suffixes = Modality("image", (8, 8, 3)).traits.suffixes
        files = sorted(path for path in self.root.rglob("*") if path.suffix.lower() in suffixes)
        if not files:
            raise DataError(self.root, "image", "directory", "pictures", "none", f"add files: {', '.join(suffixes)}")
        return files

    def _parts(self, path: pathlib.Path, modality: Modality) -> np.ndarray:
        """`[n, H, W, C] uint8`: the parts of one picture that are in the split."""
        from mmgen_jax.modalities import image

        picture = image.upright(path, "image")
        side = max(min(picture.size) // 4, 1)
        low, high = (round(share * picture.width) for share in EXTENT[self.split])
        if self.split == "train":
            rows = columns = max(round(self.parts**0.5), 1)
        else:
            rows, columns = picture.height // side, max((high - low) // side, 1)
        tops = np.linspace(0, picture.height - side, rows).astype(int)
        lefts = np.linspace(low, max(high - side, low), columns).astype(int)
        boxes = [(left, top, left + side, top + side) for top in tops for left in lefts]
        return local.to_integer(np.stack([image.to_array(picture.crop(box), modality.shape) for box in boxes]))

    def fingerprint(self) -> str:
        files = [[os.path.relpath(path, self.root), *fingerprint.of_file(path)] for path in self._files()]
        glyphs = fingerprint.of(self._glyphs) if self._glyphs else ""
        return fingerprint.digest([files, glyphs, self.image_size, self.parts])
