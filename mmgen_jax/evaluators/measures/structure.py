"""Structural similarity of pictures (Wang et al. 2004), in float64; pure functions of NumPy arrays `[N, C, H, W]`."""

from __future__ import annotations

import numpy as np

WINDOW, SIGMA = 11, 1.5  # of the Gaussian, in px
LUMINANCE, CONTRAST = 0.01, 0.03  # K1 and K2 of the paper, parts of the range of values


def terms(a: np.ndarray, b: np.ndarray, data_range: float) -> tuple[np.ndarray, np.ndarray]:
    """SSIM, and its contrast and structure term, each `[N]`: means over places and channels.

    The window is moved over the places where it fits. Where a picture is smaller than the window, the window is as
    large as the picture's shorter side, its sigma in proportion.

    Args:
      a, b: `[N, C, H, W]` of one shape.
      data_range: largest minus smallest value that a pixel may have.
    """
    size = min(WINDOW, *a.shape[2:])
    rows, columns = (_windows(side, size) for side in a.shape[2:])
    a, b = a.astype(np.float64), b.astype(np.float64)

    def mean(x):
        return rows @ x @ columns.T

    mean_a, mean_b = mean(a), mean(b)
    variances = mean(a * a) - mean_a**2 + mean(b * b) - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    small_luminance, small_contrast = (LUMINANCE * data_range) ** 2, (CONTRAST * data_range) ** 2
    contrast = (2 * covariance + small_contrast) / (variances + small_contrast)
    luminance = (2 * mean_a * mean_b + small_luminance) / (mean_a**2 + mean_b**2 + small_luminance)
    return (luminance * contrast).mean((1, 2, 3)), contrast.mean((1, 2, 3))


def _windows(side: int, size: int) -> np.ndarray:
    """`[side - size + 1, side]`: a Gaussian of `size` px at each place where it fits."""
    offsets = np.arange(size) - (size - 1) / 2
    gaussian = np.exp(-0.5 * (offsets / (SIGMA * size / WINDOW)) ** 2)
    windows = np.zeros((side - size + 1, side))
    for i, row in enumerate(windows):
        row[i : i + size] = gaussian / gaussian.sum()
    return windows
