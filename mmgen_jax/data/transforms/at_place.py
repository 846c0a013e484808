"""A picture, made smaller, at the place of the bright object of another picture: a digit where another digit is.

The place of an object is its centre of ink: the mean position of the pixels, weighted by their brightness above black.
The pictures of MNIST have their centre of ink in the middle.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from mmgen_jax.config.ranges import Count, Size
from mmgen_jax.data.transforms.pictures import picture
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Modality


@dataclasses.dataclass(frozen=True)
class Transform:
    """A picture `[h, w, C]` and a scene `[H, W, C]` to `[H, W, C]`; `of=(picture, scene)`.

    The picture is reduced to `side` px by area averaging and drawn on black. Its centre of ink lies, to whole pixels,
    at the scene's centre of ink; parts outside of the scene are cut off. A black scene has its centre of ink in the
    middle.

    Args:
      side: of the drawn picture in px; at most the picture's own side.
      cell: above 0: the nearest place at which the whole picture is inside of the scene, and its upper left corner on a
        grid of cells of this many px.

    Raises:
      ConfigError: in `modality`: there is no scene, the numbers of channels differ, or the picture is no square of at
        least `side` px.
    """

    side: Size = 16
    cell: Count = 0

    def modality(self, of: Modality, scene: Modality | None = None) -> Modality:
        height, width, channels = picture("at_place", of)
        if scene is None or picture("at_place", scene)[2] != channels:
            got = "nothing" if scene is None else f"{scene.kind} {scene.shape}"
            raise ConfigError(
                f"transforms/at_place: expected of=(picture, scene) with a scene of {channels} channels, got {got}"
            )
        if height != width or height < self.side:
            raise ConfigError(
                f"transforms/at_place.side: expected a square picture with sides from {self.side} px, got {of.shape}"
            )
        return scene

    def __call__(self, x: np.ndarray, scene: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        small = reduced(x, self.side)
        # With a border of the picture's side, all of the picture fits wherever its centre of ink is in the scene.
        drawn = np.full([size + 2 * self.side for size in scene.shape[:2]] + [scene.shape[2]], -1, np.float32)
        corner = np.subtract(centre(scene), centre(small))
        if self.cell:
            last = np.subtract(scene.shape[:2], self.side) // self.cell
            corner = np.clip(np.rint(corner / self.cell), 0, last) * self.cell
        top, left = np.rint(corner).astype(int) + self.side
        drawn[top : top + self.side, left : left + self.side] = small
        return drawn[self.side : -self.side, self.side : -self.side]


def centre(x: np.ndarray) -> tuple[float, float]:
    """The centre of ink `(row, column)` of a picture `[H, W, C]` in [-1, 1]; the middle of a black picture."""
    ink = x.sum(-1, dtype=np.float64) + x.shape[-1]
    if not (total := ink.sum()):
        return (x.shape[0] - 1) / 2, (x.shape[1] - 1) / 2
    rows, columns = (np.arange(size) for size in ink.shape)
    return float(ink.sum(1) @ rows / total), float(ink.sum(0) @ columns / total)


def reduced(x: np.ndarray, side: int) -> np.ndarray:
    """A square picture `[h, h, C]` in [-1, 1], reduced to `[side, side, C]` by area averaging."""
    from PIL import Image

    planes = np.moveaxis(np.asarray(x, np.float32), -1, 0)
    small = [np.asarray(Image.fromarray(plane).resize((side, side), Image.Resampling.BOX)) for plane in planes]
    return np.clip(np.stack(small, -1), -1, 1)
