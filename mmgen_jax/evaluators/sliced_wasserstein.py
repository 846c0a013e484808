"""Sliced Wasserstein distance between patches of generated and real pictures, scale by scale (Karras et al. 2018)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mmgen_jax.config.ranges import Amount, Seed
from mmgen_jax.contracts import Draw
from mmgen_jax.errors import InputError
from mmgen_jax.evaluators import needs, picture_controls
from mmgen_jax.evaluators.measures import intervals
from mmgen_jax.evaluators.measures.examples import collect, halves
from mmgen_jax.modalities.modality import Modality

PATCH = 7  # px of a side
PATCHES = 128  # of a picture at each level
DIRECTIONS = 512  # the paper averages 4 repetitions of 128 directions, which is the same mean
SMALLEST = 16  # px of a side of the coarsest level
FILTER = np.array([1, 4, 6, 4, 1]) / 16  # of Burt & Adelson 1983
UNIT = 1e3  # distances are given in thousandths
BLOCK = 16  # directions computed at once
FEW_DIRECTIONS = 64  # of intervals and controls, so that they take less time than the distance
RESAMPLES = 20  # subsets of an interval, which takes a fifth of the time of the distance
SUBSET = 1000  # most pictures of a subset


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """The distance at each level of a Laplacian pyramid, and their mean.

    Departs from the paper: as many pictures as `num_examples` and the split allow (the paper: 16,384 of the training
    set). The distance falls as the number of pictures grows: compare numbers of equal `n` only.

    Args:
      target: the image modality that the model draws.
      data: the source of the controls' training pictures, as in `config.data`; None: no controls.
      num_examples: at most this many examples of each split, with one sample for each.
      splits: splits to evaluate.
    """

    target: str
    data: Mapping[str, Any] | None = None
    num_examples: Amount = 2048
    splits: tuple[str, ...] = ("test",)
    names: tuple[str, ...] = ()
    seed: Seed = 0

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        needs.sides(self, SMALLEST, modalities)

    def __call__(self, sampler: Draw, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`swd_64`, `swd_32`, `swd_16`, named by the side of the level in px, and their mean `swd`; in thousandths.

        Every entry has `n` (the number of real and of generated pictures), `interval`, by `resamples` random subsets of
        `resample_size` pictures (`intervals.of_corpus`), and `reference`: the distance between two random halves of the
        real pictures, `reference_n` = n / 2 pictures each; `better`, `lower`; and `controls`, the distances of training
        pictures and of training pictures that are spoilt (`picture_controls`), in `FEW_DIRECTIONS` directions.

        Raises:
          InputError: fewer than two examples, or pictures with a side below `SMALLEST`.
        """
        samples, true = collect(sampler, batches, self.target, (self.target,), self.num_examples)
        real = true[self.target]
        if len(real) < 2:
            raise InputError("sliced_wasserstein: expected at least 2 examples, got 1; raise num_examples")
        half = len(real) // 2
        distances = sliced_wasserstein(samples, real, self.seed)
        floor = sliced_wasserstein(*halves(real), self.seed)
        about: dict[str, Any] = {"n": len(real), "reference_n": half, "better": "lower"}
        about |= {"patch": PATCH, "patches": PATCHES, "directions": DIRECTIONS}
        values, reference = _named(distances), _named(floor)
        again = functools.partial(_of_some, samples, real, self.seed)
        found = intervals.of_corpus(
            again, values, len(real), RESAMPLES, min(SUBSET, half), within=(0, np.inf), seed=self.seed
        )
        entries = {
            name: {"value": values[name], "reference": reference[name], **found[name], **about} for name in values
        }
        if self.data is not None:
            metric = {"name": "sliced_wasserstein", "directions": FEW_DIRECTIONS, "seed": self.seed}
            compare = lambda pictures: _of_some(pictures, real, self.seed, np.arange(len(real)))  # noqa: E731
            controls = picture_controls.measure(metric, self.data, self.target, real, compare)
            entries = {name: entry | {"controls": controls[name]} for name, entry in entries.items()}
        return entries


def _named(distances: Mapping[int, float]) -> dict[str, float]:
    """`swd`, the mean of the levels, and `swd_<side>` of each."""
    return {"swd": float(np.mean(list(distances.values())))} | {f"swd_{side}": x for side, x in distances.items()}


def _of_some(samples: np.ndarray, real: np.ndarray, seed: int, indices: np.ndarray) -> dict[str, float]:
    return _named(sliced_wasserstein(samples[indices], real[indices], seed, FEW_DIRECTIONS))


def sliced_wasserstein(
    a: np.ndarray, b: np.ndarray, seed: int = 0, num_directions: int = DIRECTIONS
) -> dict[int, float]:
    """`{shorter side of the level: distance}` between two sets of N pictures each, `[N, H, W, C]`, in thousandths.

    At each level of the Laplacian pyramid:

    1. Cut `PATCHES` patches of 7 x 7 px from every picture, at random places.
    2. Standardise each channel to mean 0 and standard deviation 1 over all patches of a set.
    3. Project the patches, as vectors, on a random direction, uniform on the sphere.
    4. Sort the projections of each set. The mean absolute difference between the two sorted lists is the 1-Wasserstein
       distance between the two sets of projections.
    5. Average over the directions.

    Raises:
      InputError: the shapes differ, or pictures have a side below `SMALLEST`.
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
        distances[min(level_a.shape[1:3])] = UNIT * _distance(patches_a, patches_b, rng, num_directions)
    return distances


def laplacian_pyramid(images: np.ndarray) -> list[np.ndarray]:
    """The Laplacian pyramid (Burt & Adelson 1983) of `[N, H, W, C]`, a list of `[N, H / 2^l, W / 2^l, C]`.

    Each level is the difference between the picture at that size and the next smaller picture, enlarged. The last level
    is the smallest picture itself; levels end where a side is odd or its half would be below `SMALLEST`. Reducing and
    enlarging blur with `FILTER` along rows and columns; borders are mirrored about the outermost pixels.
    """
    levels = [images.astype(np.float32)]
    while all(side % 2 == 0 and side // 2 >= SMALLEST for side in levels[-1].shape[1:3]):
        rows, columns = (_blur(side) for side in levels[-1].shape[1:3])
        smaller = _along(levels[-1], rows[::2], columns[::2])
        levels[-1] = levels[-1] - _along(smaller, 2 * rows[:, ::2], 2 * columns[:, ::2])
        levels.append(smaller)
    return levels


def _blur(side: int) -> np.ndarray:
    """The blur along one axis as a matrix, `[side, side] float32`."""
    matrix = np.zeros((side, side), np.float32)
    for offset, weight in enumerate(FILTER, start=-2):
        source = np.abs(np.arange(side) + offset)
        source = np.where(source >= side, 2 * (side - 1) - source, source)
        np.add.at(matrix, (np.arange(side), source), weight)
    return matrix


def _along(images: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """`[N, H, W, C]` multiplied by `rows [H', H]` along its height and by `columns [W', W]` along its width."""
    return np.moveaxis(rows @ np.moveaxis(images, 3, 1) @ columns.T, 1, 3)


def _patches(level: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random patches of a level, `[N · PATCHES, 7 · 7 · C] float32`, each channel standardised."""
    n, height, width, channels = level.shape
    top = rng.integers(0, height - PATCH + 1, (n, PATCHES, 1, 1))
    left = rng.integers(0, width - PATCH + 1, (n, PATCHES, 1, 1))
    offsets = np.arange(PATCH)
    patches = level[np.arange(n)[:, None, None, None], top + offsets[:, None], left + offsets].reshape(-1, channels)
    patches -= patches.mean(0, dtype=np.float64).astype(np.float32)
    patches /= np.maximum(patches.std(0, dtype=np.float64), 1e-12).astype(np.float32)
    return patches.reshape(n * PATCHES, -1)


def _distance(a: np.ndarray, b: np.ndarray, rng: np.random.Generator, num_directions: int = DIRECTIONS) -> float:
    directions = rng.normal(size=(num_directions, a.shape[1]))
    directions = (directions / np.linalg.norm(directions, axis=1, keepdims=True)).astype(np.float32)
    total = 0.0
    for start in range(0, num_directions, BLOCK):
        block = directions[start : start + BLOCK]
        projected = [np.sort(block @ patches.T, axis=1) for patches in (a, b)]
        total += float(np.abs(projected[0] - projected[1]).mean(1, dtype=np.float64).sum())
    return total / num_directions
