"""Pictures and clips of the scenes world: an anti-aliased shape on a soft background.

Lengths are in units of 1/32 of the picture's side, so that they mean the same at every resolution. `y` points down.
"""

from __future__ import annotations

import colorsys

import numpy as np

from mmgen_jax.scenes.factors import COLORS, IMAGE_NOISE, SHAPES, noise

SIDE = 32.0
RADIUS = np.array([5.2, 8.6], np.float32)  # small, large
SCALE_JITTER = 0.05  # of the radius; the largest small shape has 0.67 of the radius of the smallest large shape
PLACE = np.array([4.0, 2.4], np.float32)  # [small, large]: largest offset of the centre from the middle, on each axis
TRAVEL = 7.0  # length of the path of a moving shape; 8.6 * 1.05 + 2.4 + 3.5 < 15: the border stays free
DIRECTION = np.array([[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1]], np.float32)  # still, left, right, up, down

HUE = np.arange(len(COLORS)) / len(COLORS)  # red, yellow, green, cyan, blue, magenta are 60 degrees apart
# [6, 3] in [-1, 1]
RGB = np.array([[2 * c - 1 for c in colorsys.hsv_to_rgb(hue, 0.9, 0.9)] for hue in HUE], np.float32)


def render(factors, draw, key: np.ndarray, image_size: int, num_frames: int) -> np.ndarray:
    """Clips `[B, num_frames, image_size, image_size, 3] float32` in [-1, 1].

    Frame `num_frames // 2` of the clip is the example's image; `num_frames = 1` renders this image alone.

    Args:
      factors: `{factor: [B] ids}`, of `factors.sample`.
      draw: `{name: [B]}` uniform numbers, of `factors.draws`.
      key: `[B] uint64`, of `factors.keys`, for the grain.
    """
    size = factors["size"]
    radius = RADIUS[size] * (1 + SCALE_JITTER * _signed(draw["scale"]))  # [B]
    center = PLACE[size][:, None] * np.stack([_signed(draw["x"]), _signed(draw["y"])], axis=1)  # [B, 2]
    time = (np.arange(num_frames, dtype=np.float32) - num_frames // 2) / num_frames
    center = center[:, None] + TRAVEL * time[:, None] * DIRECTION[factors["motion"]][:, None]  # [B, T, 2]
    alpha = coverage(factors["shape"], radius, center, image_size)[..., None]  # [B, T, H, W, 1]
    background = _background(draw, key, image_size)[:, None]  # [B, 1, H, W, 3]
    color = _color(factors["color"], draw)[:, None, None, None]  # [B, 1, 1, 1, 3]
    frames = alpha * (color - background)
    frames += background
    return np.clip(frames, -1.0, 1.0, out=frames)


def coverage(shape: np.ndarray, radius: np.ndarray, center: np.ndarray, image_size: int) -> np.ndarray:
    """`[B, T, image_size, image_size] float32` in [0, 1]: the share of each pixel that the shape covers.

    Args:
      shape: `[B]` ids.
      radius: `[B]`, the largest distance of the shape's outline from its centre.
      center: `[B, T, 2]`, x and y relative to the middle of the picture.
    """
    pixels = (np.arange(image_size, dtype=np.float32) + 0.5) * np.float32(SIDE / image_size) - np.float32(SIDE / 2)
    alpha = np.empty((*center.shape[:2], image_size, image_size), np.float32)
    for value, name in enumerate(SHAPES):
        chosen = np.flatnonzero(shape == value)
        if chosen.size:
            x = pixels - center[chosen, :, 0, None]  # [n, T, W]
            y = pixels - center[chosen, :, 1, None]  # [n, T, H]
            distance = _DISTANCE[name](x[:, :, None, :], y[:, :, :, None], radius[chosen, None, None, None])
            distance *= np.float32(-image_size / SIDE)  # in pixels, positive inside
            distance += np.float32(0.5)
            alpha[chosen] = np.clip(distance, 0.0, 1.0, out=distance)
    return alpha


def _color(color: np.ndarray, draw) -> np.ndarray:
    """`[B, 3]` in [-1, 1]: the pure colour, slightly shifted towards a neighbouring hue and darkened."""
    toward = np.where(draw["hue"] < 0.5, color - 1, color + 1) % len(COLORS)
    share = 0.08 * np.abs(_signed(draw["hue"]))[:, None]  # at most 5 of the 60 degrees
    mixed = (1 - share) * RGB[color] + share * RGB[toward]
    return (mixed + 1) * (1 - 0.15 * draw["brightness"][:, None]) - 1


def _background(draw, key: np.ndarray, image_size: int) -> np.ndarray:
    """`[B, H, W, 3]`: a grey with a slight tint, a gradient and grain."""
    ramp = (np.arange(image_size, dtype=np.float32) + 0.5) * np.float32(2 / image_size) - 1
    slope_x = 0.12 * _signed(draw["slope_x"])[:, None] * ramp  # [B, W]
    slope_y = 0.12 * _signed(draw["slope_y"])[:, None] * ramp  # [B, H]
    grey = noise(key, IMAGE_NOISE, image_size**2).reshape(-1, image_size, image_size)
    grey *= (0.02 + 0.03 * draw["grain"])[:, None, None]
    grey += slope_y[:, :, None]
    grey += slope_x[:, None, :]
    grey += (0.4 * _signed(draw["level"]) - 0.2)[:, None, None]  # -0.6 to 0.2
    red, blue = 0.05 * _signed(draw["tint_red"]), 0.05 * _signed(draw["tint_blue"])
    tint = np.stack([red, -red - blue, blue], axis=1)
    return grey[..., None] + tint[:, None, None]


def _signed(uniform: np.ndarray) -> np.ndarray:
    """From [0, 1) to [-1, 1)."""
    return 2 * uniform - 1


# Signed distances to the outline of a shape with radius `r` at the origin; negative inside.


def _circle(x, y, r):
    return np.sqrt(x * x + y * y) - r


def _ring(x, y, r):
    return np.abs(np.sqrt(x * x + y * y) - np.float32(0.75) * r) - np.float32(0.25) * r


def _square(x, y, r):
    return np.maximum(np.abs(x), np.abs(y)) - np.float32(0.82) * r


def _cross(x, y, r):
    x, y, width = np.abs(x), np.abs(y), np.float32(0.3) * r
    return np.minimum(np.maximum(x - r, y - width), np.maximum(x - width, y - r))


def _triangle(x, y, r):
    # Equilateral, with a tip at the top and its bounding box centred; circumradius R, inradius R / 2.
    circumradius = np.float32(1.15) * r
    y = y - circumradius / 4
    base = y - circumradius / 2
    return np.maximum(np.float32(np.sqrt(0.75)) * np.abs(x) - (y + circumradius) / 2, base)


def _star(x, y, r):
    # Five tips, one at the top. Reflections map every point into the sector of 36 degrees between a tip and the next
    # inner corner, where the outline is one straight line.
    cos, sin = np.float32(np.cos(np.pi / 5)), np.float32(np.sin(np.pi / 5))
    x, y = np.abs(x), -y
    across = 2 * np.maximum(cos * x - sin * y, 0)
    x, y = x - cos * across, y + sin * across
    across = 2 * np.maximum(-cos * x - sin * y, 0)
    x, y = np.abs(x + cos * across), y + sin * across
    inner = np.float32(0.42)
    edge = np.array([inner * sin, inner * cos - 1], np.float32)  # from the tip to the inner corner, for r = 1
    edge = edge / np.hypot(*edge)
    return -edge[1] * x + edge[0] * (y - r)


_DISTANCE = {"circle": _circle, "square": _square, "triangle": _triangle, "star": _star, "cross": _cross, "ring": _ring}
