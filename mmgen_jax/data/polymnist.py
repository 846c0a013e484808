"""PolyMNIST of this project: five views of one digit, each on crops of a photo of its own.

- view_0 … view_4: MNIST images of the example's class on a random crop of the view's photo, 28×28 colour. Where the
  MNIST image is brighter than a half, the colours of the crop are inverted. view_0 has MNIST image `index` of the
  split; the other views have other images of its class, so that the views share nothing but the class.
- view: the view number `index` modulo 5, for one judge of all views.
- digit: the class.

The design is that of PolyMNIST (Sutter et al., 2021), **but these are not the published images**: they are made from
the MNIST images of `digits` and from five photos of `clothing` (CC0). No number here compares with a number on the
published set. Needs both: `mmgen prepare-data --dataset=digits`, and `$MMGEN_DATA/clothing` (`data/clothing.py`).

Splits as in `digits`, and an example is a function of (seed, split, index), the same in every pass. The photos are the
same in all splits, as in the published set; the crops differ.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import ClassVar

import numpy as np

from mmgen_jax.config.ranges import Seed
from mmgen_jax.data import clothing, digits
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Modality

NUM_VIEWS, SIDE, PHOTO_SIDE = 5, 28, 96
VIEWS = tuple(f"view_{i}" for i in range(NUM_VIEWS))
CANDIDATES = 100  # photos at equal distances in the sorted training split, of which the most varied are taken
ROLE = 0x901  # keeps the draws apart from other draws from the seed


@dataclasses.dataclass(frozen=True)
class Source:
    """Five views of a digit.

    Args:
      split: `train`, `validation` or `test`.
      names: some of `view_0` … `view_4`, `view`, `digit`; () is all.
      seed: of the crops and of the choice of MNIST images.

    Raises:
      ConfigError: another split or name.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "validation", "test")
    available: ClassVar[tuple[str, ...]] = (*VIEWS, "view", "digit")
    label_preserving: ClassVar[tuple[str, ...]] = ()

    split: str = "train"
    names: tuple[str, ...] = ()
    seed: Seed = 0

    def __post_init__(self):
        if self.split not in self.splits:
            raise ConfigError(f"polymnist: split: expected one of {', '.join(self.splits)}, got {self.split!r}")
        if unknown := [name for name in self.names if name not in self.available]:
            raise ConfigError(f"polymnist: no modality {unknown[0]!r}; there are {', '.join(self.available)}")

    def __reduce__(self):
        # Worker processes open the prepared files again instead of receiving them.
        return type(self), tuple(getattr(self, field.name) for field in dataclasses.fields(self))

    @functools.cached_property
    def modalities(self) -> dict[str, Modality]:
        every = {name: Modality("image", (SIDE, SIDE, 3)) for name in (*VIEWS, "view")}
        every["digit"] = Modality("label", classes=tuple("0123456789"))
        return {name: every[name] for name in self.names or self.available}

    def __len__(self) -> int:
        return len(self._labels)

    def read(self, indices: np.ndarray, epochs: np.ndarray) -> dict[str, np.ndarray]:
        """Examples of the split, the same in every pass."""
        del epochs
        indices = np.asarray(indices, np.int64)
        batch = {}
        for name in self.modalities:
            if name == "digit":
                batch[name] = self._labels[indices]
            elif name == "view":
                batch[name] = self._views(indices % NUM_VIEWS, indices)
            else:
                batch[name] = self._views(np.full(len(indices), VIEWS.index(name)), indices)
        return batch

    def _views(self, views: np.ndarray, indices: np.ndarray) -> np.ndarray:
        """The view `views [B]` of each example, `[B, 28, 28, 3]` in [-1, 1]."""
        draw = self._draws[indices, views]  # [B, 3] in [0, 1)
        order, starts = self._by_class
        labels = self._labels[indices]
        other = order[starts[labels] + (draw[:, 2] * (starts[labels + 1] - starts[labels])).astype(int)]
        ink = np.repeat(self._ink[np.where(views == 0, indices, other)], 3, axis=2).astype(np.float32)
        place = (draw[:, :2] * (PHOTO_SIDE - SIDE + 1)).astype(int)
        pictures = photos().reshape(NUM_VIEWS, PHOTO_SIDE, 3 * PHOTO_SIDE)
        # A loop over slices is faster than arrays of indices.
        for i, (view, (top, left)) in enumerate(zip(views.tolist(), place.tolist())):
            ink[i] *= pictures[view, top : top + SIDE, 3 * left : 3 * (left + SIDE)]
        return ink.reshape(len(ink), SIDE, SIDE, 3)

    @functools.cached_property
    def _mnist(self) -> digits.Source:
        return digits.Source(self.split, ("image", "digit"))

    @functools.cached_property
    def _ink(self) -> np.ndarray:
        """`[N, 28, 28] int8`: -1 where an MNIST image is brighter than a half, 1 elsewhere."""
        ink = np.empty((len(self._mnist), SIDE, SIDE), np.int8)
        for start in range(0, len(ink), 1000):
            rows = np.arange(start, min(start + 1000, len(ink)))
            ink[rows] = np.where(self._mnist.read(rows, np.zeros_like(rows))["image"][..., 0] > 0, -1, 1)
        return ink

    @functools.cached_property
    def _labels(self) -> np.ndarray:
        return self._mnist.read(np.arange(len(self._mnist)), np.zeros(len(self._mnist), int))["digit"]

    @functools.cached_property
    def _by_class(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(self._labels, kind="stable")
        return order, np.searchsorted(self._labels[order], np.arange(11))

    @functools.cached_property
    def _draws(self) -> np.ndarray:
        """`[N, views, 3]` float32 in [0, 1): row and column of the crop, and the MNIST image."""
        rng = np.random.default_rng([ROLE, self.seed, self.splits.index(self.split)])
        return rng.random((len(self), NUM_VIEWS, 3), np.float32)


@functools.cache
def photos() -> np.ndarray:
    """The photos of the five views, `[5, 96, 96, 3]` in [-1, 1].

    `CANDIDATES` training photos are divided into five parts, one for each view. Each part gives its most varied photo:
    the photo with the largest standard deviation within cells of 24 px, averaged over the cells.
    """
    source = clothing.Source(split="train", names=("image",), image_size=PHOTO_SIDE)
    rows = np.linspace(0, len(source) - 1, CANDIDATES).astype(int)
    pictures = source.read(rows, np.zeros_like(rows))["image"]
    cells = pictures.reshape(CANDIDATES, 4, 24, 4, 24, 3)
    varied = cells.std(axis=(2, 4)).mean(axis=(1, 2, 3)).reshape(NUM_VIEWS, -1)
    best = varied.argmax(axis=1) + np.arange(NUM_VIEWS) * varied.shape[1]
    return pictures[best]
