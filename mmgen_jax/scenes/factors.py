"""The factors of the scenes world, its held-out combinations, and random numbers by counter.

Every random number of an example is a hash of (seed, split, index, counter), as in Salmon et al., "Parallel Random
Numbers: As Easy as 1, 2, 3" (2011); the hash is the finaliser of splitmix64. There is no generator state. So the values
of an example do not depend on which other examples are read, or in which order, and a batch needs no loop over its
examples.
"""

from __future__ import annotations

import numpy as np

SHAPES = ("circle", "square", "triangle", "star", "cross", "ring")
COLORS = ("red", "yellow", "green", "cyan", "blue", "magenta")
SIZES = ("small", "large")
MOTIONS = ("still", "left", "right", "up", "down")
FACTORS = {"shape": SHAPES, "color": COLORS, "size": SIZES, "motion": MOTIONS}

SPLITS = ("train", "test", "compositional")

# For each shape, the colour that it has only in the split `compositional`. These colours are a permutation, so that
# training still has every shape in five colours and every colour on five shapes. They are the same for every seed, so
# that results of different seeds are comparable.
HELD_OUT_COLOR = np.array([4, 2, 0, 5, 1, 3])

_PAIRS = np.stack(np.divmod(np.arange(len(SHAPES) * len(COLORS)), len(COLORS)), axis=1)  # [36, 2] shape, colour
_IS_HELD_OUT = HELD_OUT_COLOR[_PAIRS[:, 0]] == _PAIRS[:, 1]
SEEN_PAIRS, HELD_OUT_PAIRS = _PAIRS[~_IS_HELD_OUT], _PAIRS[_IS_HELD_OUT]  # [30, 2] and [6, 2]

# Each example has one uniform number for each of these names. Append only: the position of a name is its counter.
DRAWS = (
    *("pair", "size", "motion"),
    *("x", "y", "scale", "hue", "brightness"),  # the shape
    *("level", "tint_red", "tint_blue", "slope_x", "slope_y", "grain"),  # the background
    *("detune", "loudness", "onset", "phase", "hiss"),  # the sound
    *("pattern", "shape_word", "color_word", "size_word", "motion_word", "verb"),  # the caption
)
IMAGE_NOISE, AUDIO_NOISE = 1 << 20, 1 << 40  # first counters of the noise fields

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def keys(seed: int, split: str, indices: np.ndarray) -> np.ndarray:
    """`[B] uint64`: the key of each example, from which all its random numbers are hashed.

    Args:
      split: one of `SPLITS`.
      indices: `[B] int`, of the examples in the split.
    """
    stream = np.array([seed % 2**64], np.uint64)
    stream = _mix(_mix(stream + _GOLDEN) + np.uint64(SPLITS.index(split)))
    return _mix(stream + np.asarray(indices).astype(np.uint64) * _GOLDEN)


def draws(key: np.ndarray) -> dict[str, np.ndarray]:
    """`{name: [B] float32 in [0, 1)}` for every name of `DRAWS`."""
    counters = np.arange(len(DRAWS), dtype=np.uint64) * _GOLDEN
    bits = _mix(key[:, None] + counters)
    uniform = (bits >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)
    return {name: uniform[:, i] for i, name in enumerate(DRAWS)}


def noise(key: np.ndarray, first: int, count: int) -> np.ndarray:
    """Noise `[B, count] float32`, uniform in [-1, 1) with a resolution of 16 bits: each hash gives four values.

    Args:
      key: `[B] uint64`.
      first: the first counter: `IMAGE_NOISE` or `AUDIO_NOISE`.
    """
    counters = (np.arange(-(-count // 4), dtype=np.uint64) + np.uint64(first)) * _GOLDEN
    bits = _mix(key[:, None] + counters).astype("<u8", copy=False).view("<i2")[:, :count]
    return bits * np.float32(2.0**-15)


def choose(uniform: np.ndarray, count: int) -> np.ndarray:
    """`[B] int32`, uniform in [0, count), from numbers `uniform [B]` in [0, 1)."""
    return np.minimum((uniform * count).astype(np.int32), count - 1)  # float32 rounds (1 - 2^-24) * count up


def sample(split: str, draw: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The factors of a batch, `{factor: [B] int32}`.

    Shape and colour are drawn as a pair, because the splits differ in their sets of pairs.
    """
    pairs = HELD_OUT_PAIRS if split == "compositional" else SEEN_PAIRS
    shape, color = np.ascontiguousarray(pairs[choose(draw["pair"], len(pairs))].T, np.int32)
    size, motion = choose(draw["size"], len(SIZES)), choose(draw["motion"], len(MOTIONS))
    return {"shape": shape, "color": color, "size": size, "motion": motion}


def _mix(z: np.ndarray) -> np.ndarray:
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
