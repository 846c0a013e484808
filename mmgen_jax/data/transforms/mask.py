"""Masks for inpainting: a random box, or free-form strokes (as in Yu et al., 2019, Gated Convolution)."""

from __future__ import annotations

import dataclasses

import numpy as np

from mmgen_jax.config.ranges import Share
from mmgen_jax.data.transforms.pictures import check_range, picture
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Modality

SHAPES = ("box", "strokes", "either")
MAX_STROKES = 64


@dataclasses.dataclass(frozen=True)
class Transform:
    """`[H, W, C]` to a mask `[H, W, 1]`: 1 in the hole, -1 elsewhere. Only the size of the picture is used.

    Args:
      shape: `box`, one rectangle anywhere; `strokes`, strokes of a brush until they cover the share; `either`, a box or
        strokes with probability 1/2 each.
      sides: range of each side of a box, as a share of the picture's side.
      share: range of the smallest share of the picture that the strokes cover.

    Raises:
      ConfigError: an unknown shape, or a range whose low end is above its high end.
    """

    shape: str = "either"
    sides: tuple[Share, Share] = (0.25, 0.5)
    share: tuple[Share, Share] = (0.1, 0.25)

    def __post_init__(self):
        if self.shape not in SHAPES:
            raise ConfigError(f"transforms/mask.shape: expected one of {', '.join(SHAPES)}, got {self.shape!r}")
        for field in ("sides", "share"):
            check_range(f"mask.{field}", getattr(self, field))

    def modality(self, of: Modality) -> Modality:
        height, width, _ = picture("mask", of)
        return Modality("mask", (height, width, 1))

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        grid = x.shape[:2]
        if self.shape == "box" or (self.shape == "either" and rng.random() < 0.5):
            hole = box(grid, self.sides, rng)
        else:
            hole = strokes(grid, rng.uniform(*self.share), rng)
        return np.where(hole, np.float32(1), np.float32(-1))[..., None]


def box(grid: tuple[int, ...], sides: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """`[H, W] bool`, True in one rectangle; its sides are shares of the grid's sides, drawn from the range `sides`."""
    hole = np.zeros(grid, bool)
    lengths = [max(1, round(side * rng.uniform(*sides))) for side in grid]
    low = [rng.integers(0, side - length + 1) for side, length in zip(grid, lengths)]
    hole[low[0] : low[0] + lengths[0], low[1] : low[1] + lengths[1]] = True
    return hole


def strokes(grid: tuple[int, ...], share: float, rng: np.random.Generator) -> np.ndarray:
    """`[H, W] bool`, True under the strokes of a round brush, which cover `share` of the grid or a little more.

    At most `MAX_STROKES` strokes are drawn, so that a share near 1 may not be reached.

    A stroke is 2 to 5 straight segments, each turned by up to 70 degrees against the one before. A segment is 10 to
    30 % of the shorter side long, the brush is 6 to 14 % of it wide.
    """
    from PIL import Image, ImageDraw

    side = min(grid)
    drawing = Image.new("1", (grid[1], grid[0]))
    pen = ImageDraw.Draw(drawing)
    for _ in range(MAX_STROKES):
        hole = np.asarray(drawing)
        if hole.mean() >= share:
            break
        width = max(1, round(side * rng.uniform(0.06, 0.14)))
        angle = rng.uniform(0, 2 * np.pi)
        point = rng.uniform((0, 0), (grid[1], grid[0]))
        for _ in range(rng.integers(2, 6)):
            angle += np.deg2rad(rng.uniform(-70, 70))
            end = point + side * rng.uniform(0.1, 0.3) * np.array([np.cos(angle), np.sin(angle)])
            end = np.clip(end, 0, (grid[1] - 1, grid[0] - 1))
            pen.line([tuple(point), tuple(end)], fill=1, width=width)
            for x, y in (point, end):
                pen.ellipse([x - width / 2, y - width / 2, x + width / 2, y + width / 2], fill=1)
            point = end
    return np.asarray(drawing).copy()
