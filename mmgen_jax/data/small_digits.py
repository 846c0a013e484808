"""Small digits: the 1,797 handwritten digits of scikit-learn, 8×8 grey, enlarged.

- image: counts of ink in 0 to 16, scaled to [-1, 1] and enlarged by bicubic interpolation (a = -0.5).
- digit: the class.

The digits are the test part of "Optical Recognition of Handwritten Digits" (Alpaydin, Kaynak, 1998; CC BY 4.0;
https://archive.ics.uci.edu/dataset/80), which `sklearn.datasets.load_digits` reads from the package itself: nothing is
downloaded.

Splits: 1,197 train, 200 validation, 400 test, by a fixed permutation. No two of the 1,797 images are equal.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, ClassVar

import numpy as np

from mmgen_jax.config.ranges import Side, Sides
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Modality

SIDE, MAX_INK = 8, 16
ENDS = {"train": (0, 1197), "validation": (1197, 1397), "test": (1397, 1797)}  # in the permutation


@dataclasses.dataclass(frozen=True)
class Source:
    """The digits of scikit-learn.

    Args:
      split: `train`, `validation` or `test`.
      names: some of `image`, `digit`; () is both.
      image_size: side in pixels.
      border: black pixels on each side of the digit, inside of `image_size`; 4 of 28 gives digits of MNIST's size.

    Raises:
      ConfigError: a field has another value.
    """

    splits: ClassVar[tuple[str, ...]] = tuple(ENDS)
    available: ClassVar[tuple[str, ...]] = ("image", "digit")
    label_preserving: ClassVar[tuple[str, ...]] = ()  # a mirrored 2 is no 2

    split: str = "train"
    names: tuple[str, ...] = ()
    image_size: Side = 28
    border: Sides = 0

    def __post_init__(self):
        if self.split not in self.splits:
            raise ConfigError(f"small_digits: split: expected one of {', '.join(self.splits)}, got {self.split!r}")
        if unknown := [name for name in self.names if name not in self.available]:
            raise ConfigError(f"small_digits: no modality {unknown[0]!r}; there are {', '.join(self.available)}")
        if self.image_size < SIDE + 2 * self.border:
            least = f"at least {SIDE} and twice the border of {self.border}"
            raise ConfigError(f"small_digits: image_size: expected {least}, got {self.image_size}")

    @functools.cached_property
    def modalities(self) -> dict[str, Modality]:
        every = {
            "image": Modality("image", (self.image_size, self.image_size, 1)),
            "digit": Modality("label", classes=tuple("0123456789")),
        }
        return {name: every[name] for name in self.names or self.available}

    def __len__(self) -> int:
        start, end = ENDS[self.split]
        return end - start

    def read(self, indices: np.ndarray, epochs: np.ndarray) -> dict[str, np.ndarray]:
        """Examples of the split, the same in every pass."""
        del epochs
        return {name: self._columns[name][np.asarray(indices, np.int64)] for name in self.modalities}

    @functools.cached_property
    def _columns(self) -> dict[str, np.ndarray]:
        from sklearn.datasets import load_digits  # takes a second

        every: Any = load_digits()
        rows = np.random.default_rng(0).permutation(len(every.target))[slice(*ENDS[self.split])]
        return {
            "image": _enlarged(every.images[rows] * (2 / MAX_INK) - 1, self.image_size, self.border),
            "digit": every.target[rows].astype(np.int32),
        }


def _enlarged(images: np.ndarray, size: int, border: int) -> np.ndarray:
    """`[N, 8, 8]` in [-1, 1] to `[N, size, size, 1]` float32; overshoots of the bicubic interpolation are clipped."""
    from PIL import Image

    inner, cubic = (size - 2 * border, size - 2 * border), Image.Resampling.BICUBIC
    rows = [np.asarray(Image.fromarray(image.astype(np.float32)).resize(inner, cubic)) for image in images]
    pads = ((0, 0), (border, border), (border, border))
    return np.pad(np.clip(np.stack(rows), -1, 1), pads, constant_values=-1)[..., None]
