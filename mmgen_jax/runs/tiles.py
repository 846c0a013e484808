"""A picture of any size as overlapping tiles of one size, and back: reflected borders, and smooth seams."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np

OVERLAP = 4  # neighbouring tiles overlap by at least 1 / OVERLAP of a tile's side


@dataclasses.dataclass(frozen=True)
class Tiling:
    """The positions of a picture's tiles.

    A picture smaller than a tile lies in the middle of a tile. Pictures of a finer grid, with `scale` times as many
    pixels along each axis, have the same tiles.

    Args:
      size: `(height, width)` of the picture, in pixels.
      tile: `(height, width)` of a tile, in pixels.
    """

    size: tuple[int, int]
    tile: tuple[int, int]

    @property
    def padded(self) -> tuple[int, int]:
        """`(height, width)` of the area that the tiles cover."""
        return max(self.size[0], self.tile[0]), max(self.size[1], self.tile[1])

    @functools.cached_property
    def corners(self) -> list[tuple[int, int]]:
        """`(y, x)` of each tile's first pixel in the padded picture, row by row."""
        rows, columns = (starts(length, tile) for length, tile in zip(self.padded, self.tile))
        return [(y, x) for y in rows for x in columns]

    def pad(self, picture: np.ndarray, scale: tuple[int, int] = (1, 1)) -> np.ndarray:
        """Pads `[H, W, C]` with reflected borders to `[*padded × scale, C]`; a side of one pixel is repeated."""
        before = self._before(scale)
        after = [p * s - n - b for p, s, n, b in zip(self.padded, scale, picture.shape, before)]
        return np.pad(picture, [*zip(before, after), (0, 0)], mode="reflect")

    def cut(self, padded: np.ndarray, index: int, scale: tuple[int, int] = (1, 1)) -> np.ndarray:
        """The tile number `index` of `[*padded × scale, C]`, as a view."""
        return padded[self._place(index, scale)]

    def canvas(self, channels: int, scale: tuple[int, int] = (1, 1)) -> np.ndarray:
        """Zeros `[*padded × scale, channels]` float32, for `add`."""
        return np.zeros((*(p * s for p, s in zip(self.padded, scale)), channels), np.float32)

    def add(self, canvas: np.ndarray, index: int, drawn: np.ndarray, scale: tuple[int, int] = (1, 1)) -> None:
        """Adds a drawn tile `[*tile × scale, C]` to the canvas, weighted; at each pixel, the weights sum to 1."""
        shares = self._shares(scale)
        rows, columns = (shares[axis][start] for axis, start in enumerate(self.corners[index]))
        canvas[self._place(index, scale)] += rows[:, None, None] * columns[None, :, None] * drawn

    def crop(self, canvas: np.ndarray, scale: tuple[int, int] = (1, 1)) -> np.ndarray:
        """`[*size × scale, C]`, the canvas without the reflected borders."""
        (top, left), (height, width) = self._before(scale), (n * s for n, s in zip(self.size, scale))
        return canvas[top : top + height, left : left + width]

    def _before(self, scale: tuple[int, int]) -> tuple[int, int]:
        top, left = ((p - n) // 2 * s for p, n, s in zip(self.padded, self.size, scale))
        return top, left

    def _place(self, index: int, scale: tuple[int, int]) -> tuple[slice, slice]:
        rows, columns = (
            slice(start * s, (start + n) * s) for start, n, s in zip(self.corners[index], self.tile, scale)
        )
        return rows, columns

    def _shares(self, scale: tuple[int, int]) -> list[dict[int, np.ndarray]]:
        return [_shares(length, tile, s) for length, tile, s in zip(self.padded, self.tile, scale)]


def starts(length: int, tile: int) -> list[int]:
    """First pixels of the fewest tiles that cover `length` and overlap by 1 / OVERLAP of a tile; evenly spaced."""
    overlap = tile // OVERLAP
    num = math.ceil((length - overlap) / (tile - overlap))
    return [round(i * (length - tile) / max(num - 1, 1)) for i in range(num)]


@functools.cache
def _shares(length: int, tile: int, scale: int) -> dict[int, np.ndarray]:
    """`{start: [tile × scale] float32}`, the weights of each tile along an axis; smooth, their sum at a pixel is 1."""
    ramp = max(tile // OVERLAP, 1) * scale
    inside = (np.minimum(np.arange(tile * scale), np.arange(tile * scale)[::-1]) + 0.5) / ramp
    weights = np.sin(np.pi / 2 * np.minimum(inside, 1)) ** 2
    total, places = np.zeros(length * scale), {s: slice(s * scale, (s + tile) * scale) for s in starts(length, tile)}
    for place in places.values():
        total[place] += weights
    return {start: (weights / total[place]).astype(np.float32) for start, place in places.items()}
