"""Sliced Wasserstein distance between patches of generated and real pictures, scale by scale (Karras et al. 2018)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from mmgen_jax.errors import InputError
from mmgen_jax.evaluators.measures.examples import collect

PATCH = 7  # px of a side
PATCHES = 128  # of a picture at each level
DIRECTIONS = 512  # 4 times 128 in the paper; their mean is the same
SMALLEST = 16  # px of a side of the coarsest level
FILTER = np.array([1, 4, 6, 4, 1]) / 16  # of Burt & Adelson 1983
UNIT = 1e3  # distances are given in thousandths
BLOCK = 16  # directions at once


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """The distance at each level of a Laplacian pyramid, and their mean.

    Departs from the paper: as many pictures as `num_examples` and the split allow (the paper: 16,384 of the training
    set). The distance falls with their number: compare equal `n` only.

    Args:
      target: the image modality that the model draws.
      num_examples: at most this many of each split, real and generated.
      splits: those to run on.
    """

    target: str
    num_examples: int = 2048
    splits: tuple[str, ...] = ("test",)
    names: tuple[str, ...] = ()
    seed: int = 0

    def __call__(
        self, sample_fn: Callable[[Mapping[str, Any]], Mapping[str, Any]], batches: Iterable[Mapping[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        """`swd`, and `swd_64`, `swd_32`, `swd_16` by the side of the level, in thousandths.

        Each with `n` (real as well as generated) and `reference`: between two halves of the real ones, of n / 2 each.
        """
        samples, true = collect(sample_fn, batches, self.target, (self.target,), self.num_examples)
        real = true[self.target]
        if len(real) < 2:
            raise InputError("sliced_wasserstein: expected at least 2 examples, got 1; raise num_examples")
        half = len(real) // 2
        distances = sliced_wasserstein(samples, real, self.seed)
        halves = sliced_wasserstein(real[: 2 * half : 2], real[1 : 2 * half : 2], self.seed)
        about = {"n": len(real), "reference_n": half, "patch": PATCH, "patches": PATCHES, "directions": DIRECTIONS}
        mean = {"value": float(np.mean(list(distances.values()))), "reference": float(np.mean(list(halves.values())))}
        levels = {f"swd_{side}": {"value": distances[side], "reference": halves[side]} for side in distances}
        return {name: entry | about for name, entry in ({"swd": mean} | levels).items()}


def sliced_wasserstein(a: np.ndarray, b: np.ndarray, seed: int = 0) -> dict[int, float]:
    """`{shorter side of the level: distance}` of two sets of as many pictures `[N, H, W, C]`, in thousandths.

    At each level of the pyramid: `PATCHES` patches of 7 x 7 px of every picture, from places drawn anew for each; every
    channel of a set's patches brought to mean 0 and standard deviation 1 over all of that set; all patches, as vectors,
    projected on a direction drawn uniformly from the sphere; the mean distance between the two sets' projections in
    their order, which is the 1-Wasserstein distance of the two; a mean over `DIRECTIONS` directions.

    Raises:
      InputError: two shapes, or pictures with a side below `SMALLEST`.
    """
    if a.shape != b.shape or a.ndim != 4 or min(a.shape[1:3]) < SMALLEST:
        raise InputError(
            f"sliced_wasserstein: expected two [N, H, W, C] of one shape with sides from {SMALLEST}, got {a.shape}, "
            f"{b.shape}"
        )
    rng = np.random.default_rng(seed)
    distances = {}
    for level_a, level_b in zip(laplacian_pyramid(a), laplacian_pyramid(b)):
        patches_a, patches_b = (_patches(level, rng) for level in (level_a, level_b))
        distances[min(level_a.shape[1:3])] = UNIT * _distance(patches_a, patches_b, rng)
    return distances


def laplacian_pyramid(images: np.ndarray) -> list[np.ndarray]:
    """`[N, H, W, C]`, then half the side, and so on while a side is even and its half at least `SMALLEST`.

    Each level is what the next one, enlarged, lacks of it; the last is the blurred picture itself. Both steps blur with
    `FILTER` along rows and columns, mirrored about the outermost pixels.
    """
    levels = [images.astype(np.float32)]
    while all(side % 2 == 0 and side // 2 >= SMALLEST for side in levels[-1].shape[1:3]):
        rows, columns = (_blur(side) for side in levels[-1].shape[1:3])
        smaller = _along(levels[-1], rows[::2], columns[::2])
        levels[-1] = levels[-1] - _along(smaller, 2 * rows[:, ::2], 2 * columns[:, ::2])
        levels.append(smaller)
    return levels


def _blur(side: int) -> np.ndarray:
    """`[side, side] float32`."""
    matrix = np.zeros((side, side), np.float32)
    for offset, weight in enumerate(FILTER, start=-2):
        source = np.abs(np.arange(side) + offset)
        source = np.where(source >= side, 2 * (side - 1) - source, source)
        np.add.at(matrix, (np.arange(side), source), weight)
    return matrix


def _along(images: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Both matrices applied to `[N, H, W, C]`."""
    return np.moveaxis(rows @ np.moveaxis(images, 3, 1) @ columns.T, 1, 3)


def _patches(level: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`[N PATCHES, 7 · 7 · C] float32`, each channel standardised."""
    n, height, width, channels = level.shape
    top = rng.integers(0, height - PATCH + 1, (n, PATCHES, 1, 1))
    left = rng.integers(0, width - PATCH + 1, (n, PATCHES, 1, 1))
    offsets = np.arange(PATCH)
    patches = level[np.arange(n)[:, None, None, None], top + offsets[:, None], left + offsets].reshape(-1, channels)
    patches -= patches.mean(0, dtype=np.float64).astype(np.float32)
    patches /= np.maximum(patches.std(0, dtype=np.float64), 1e-12).astype(np.float32)
    return patches.reshape(n * PATCHES, -1)


def _distance(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> float:
    directions = rng.normal(size=(DIRECTIONS, a.shape[1]))
    directions = (directions / np.linalg.norm(directions, axis=1, keepdims=True)).astype(np.float32)
    total = 0.0
    for start in range(0, DIRECTIONS, BLOCK):
        block = directions[start : start + BLOCK]
        projected = [np.sort(block @ patches.T, axis=1) for patches in (a, b)]
        total += float(np.abs(projected[0] - projected[1]).mean(1, dtype=np.float64).sum())
    return total / DIRECTIONS
