"""Diversity of generated pictures: mean multi-scale structural similarity of pairs; lower is more varied."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from mmgen_jax.errors import InputError
from mmgen_jax.evaluators.measures import intervals
from mmgen_jax.evaluators.measures.examples import collect

WEIGHTS = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])  # of the scales, the finest first (Wang et al. 2003)
WINDOW, SIGMA = 11, 1.5  # of the Gaussian, in px
LUMINANCE, CONTRAST = (0.01 * 255) ** 2, (0.03 * 255) ** 2
SMALLEST = 16  # px of a side: 1 at the coarsest scale
BATCH = 100  # pairs at once


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """MS-SSIM between pairs of samples (Odena et al. 2017), beside that between the real pictures.

    The pairs are samples 0 and 1, 2 and 3, and so on, each in one pair: they are independent. Departs from the paper:
    pairs of any two samples, not of one class, and more than its 100.

    Args:
      target: the image modality that the model draws.
      num_examples: at most this many of each split, two in a pair.
      splits: those to run on.
    """

    target: str
    num_examples: int = 2000
    splits: tuple[str, ...] = ("test",)
    names: tuple[str, ...] = ()

    def __call__(
        self, sample_fn: Callable[[Mapping[str, Any]], Mapping[str, Any]], batches: Iterable[Mapping[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        """`{"ms_ssim": {"value", "n" (pairs), "interval", "reference"}}`.

        Raises:
          InputError: fewer than two examples.
        """
        samples, true = collect(sample_fn, batches, self.target, (self.target,), self.num_examples)
        if len(samples) < 2:
            raise InputError("ms_ssim: expected at least 2 examples, got 1; raise num_examples")
        even = len(samples) // 2 * 2
        values, reference = (ms_ssim(x[0:even:2], x[1:even:2]) for x in (samples, true[self.target]))
        entry = {
            "value": float(values.mean()),
            "n": len(values),
            "interval": intervals.of_mean(values),
            "reference": float(reference.mean()),
            "preprocessing": "rounded to 8 bits; 5 scales, window 11 px or the side, sigma 1.5 px for 11",
        }
        return {"ms_ssim": entry}


def ms_ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`[N]` in [0, 1]: multi-scale SSIM (Wang et al. 2003) of `a[i]` and `b[i]`, `[N, H, W, C]` in [-1, 1].

        ssim_5^w5 Π_{scales 1..4} cs_i^wi

    cs is the contrast and structure term and ssim all of it, each a mean over places and channels, negative ones 0.
    Scales are means over blocks of 2 x 2 px (the last row or column of an odd side counts twice). The window is moved
    over the places where it fits, 11 px a side; where a scale is smaller, the window is as large as its shorter side,
    its sigma in proportion, so that five scales fit 64 px, as in the code of Karras et al. 2018.

    Raises:
      InputError: two shapes, or a side below `SMALLEST`.
    """
    if a.shape != b.shape or a.ndim != 4 or min(a.shape[1:3]) < SMALLEST:
        raise InputError(
            f"ms_ssim: expected two [N, H, W, C] of one shape with sides from {SMALLEST}, got {a.shape}, {b.shape}"
        )
    return np.concatenate([_batch(a[i : i + BATCH], b[i : i + BATCH]) for i in range(0, len(a), BATCH)])


def _batch(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    # Channels last would be strided in the products below.
    a, b = (np.rint((np.clip(x, -1, 1).astype(np.float64) + 1) * 127.5).transpose(0, 3, 1, 2) for x in (a, b))
    result = np.ones(len(a))
    for scale, weight in enumerate(WEIGHTS):
        ssim, contrast = _terms(a, b)
        result *= np.maximum(ssim if scale == len(WEIGHTS) - 1 else contrast, 0) ** weight
        a, b = _halve(a), _halve(b)
    return result


def _terms(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """SSIM and its contrast and structure term, `[N]`."""
    size = min(WINDOW, *a.shape[2:])
    rows, columns = (_windows(side, size) for side in a.shape[2:])

    def mean(x):
        return rows @ x @ columns.T

    mean_a, mean_b = mean(a), mean(b)
    variances = mean(a * a) - mean_a**2 + mean(b * b) - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    contrast = (2 * covariance + CONTRAST) / (variances + CONTRAST)
    luminance = (2 * mean_a * mean_b + LUMINANCE) / (mean_a**2 + mean_b**2 + LUMINANCE)
    return (luminance * contrast).mean((1, 2, 3)), contrast.mean((1, 2, 3))


def _windows(side: int, size: int) -> np.ndarray:
    """`[side - size + 1, side]`: a Gaussian of `size` px at each place where it fits."""
    offsets = np.arange(size) - (size - 1) / 2
    gaussian = np.exp(-0.5 * (offsets / (SIGMA * size / WINDOW)) ** 2)
    windows = np.zeros((side - size + 1, side))
    for i, row in enumerate(windows):
        row[i : i + size] = gaussian / gaussian.sum()
    return windows


def _halve(x: np.ndarray) -> np.ndarray:
    height, width = x.shape[2:]
    x = np.pad(x, ((0, 0), (0, 0), (0, height % 2), (0, width % 2)), mode="edge")
    return (x[:, :, 0::2, 0::2] + x[:, :, 1::2, 0::2] + x[:, :, 0::2, 1::2] + x[:, :, 1::2, 1::2]) / 4
