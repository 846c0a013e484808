"""Restoration of pictures without a trained model: Richardson-Lucy, non-local means, total variation."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from typing import Any

import numpy as np

ITERATIONS = 30
REACH = 4.0  # standard deviations of a Gaussian at which it is cut off
PATCH, DISTANCE, STRENGTH = 5, 6, 0.6  # px, px, and the filter's h as a share of the noise's standard deviation
WEIGHT = 0.8  # of total variation, as a share of the noise's standard deviation
SMALLEST = 1e-6  # of a denominator
LIBRARY = "skimage"


def library() -> str:
    """`scikit-image <version>` where it is installed, else "": the two denoisers below are its own."""
    return f"scikit-image {importlib.metadata.version('scikit-image')}" if importlib.util.find_spec(LIBRARY) else ""


def richardson_lucy(pictures: np.ndarray, sigma: float, iterations: int = ITERATIONS) -> np.ndarray:
    """Pictures `[N, H, W, C]` in [0, 1], blurred by a Gaussian of `sigma` px, deblurred (Richardson 1972, Lucy 1974).

        u <- u k * (y / (k * u)),  from u = 1/2

    k is the Gaussian, which is its own mirror image. The picture is padded with its border's pixels by twice the reach
    of the Gaussian; without the padding, the border rings.
    """
    from scipy import fft

    reach = int(REACH * sigma + 0.5)
    pad = 2 * reach
    height, width = (side + 2 * pad for side in pictures.shape[1:3])
    rows, columns = (np.fft.fft(_wrapped(side, sigma, reach)).real for side in (height, width))
    transfer = rows[:, None] * columns[: width // 2 + 1]

    def blurred(planes: np.ndarray) -> np.ndarray:
        spectrum: Any = fft.rfft2(planes)
        return np.asarray(fft.irfft2(spectrum * transfer, s=(height, width)))

    def restored(picture: np.ndarray) -> np.ndarray:
        planes = np.moveaxis(np.clip(picture, 0, 1).astype(np.float64), -1, 0)  # [C, H, W]
        y = np.pad(planes, ((0, 0), (pad, pad), (pad, pad)), mode="edge")
        u = np.full_like(y, 0.5)
        for _ in range(iterations):
            u = np.maximum(u * blurred(y / np.maximum(blurred(u), SMALLEST)), 0)  # the transform rounds
        return np.moveaxis(u[:, pad : height - pad, pad : width - pad], 0, -1)

    return np.clip([restored(picture) for picture in pictures], 0, 1)


def non_local_means(pictures: np.ndarray, sigma: float) -> np.ndarray:
    """Noisy pictures `[N, H, W, C]` in [0, 1], denoised (Buades et al. 2005), by scikit-image.

    Args:
      sigma: standard deviation of the noise, of values in [0, 1].
    """
    from skimage.restoration import denoise_nl_means

    fields = {"patch_size": PATCH, "patch_distance": DISTANCE, "h": STRENGTH * sigma, "sigma": sigma}
    return np.stack([denoise_nl_means(picture, **fields, fast_mode=True, channel_axis=-1) for picture in pictures])


def total_variation(pictures: np.ndarray, sigma: float) -> np.ndarray:
    """As `non_local_means`, by the least total variation (Chambolle 2004)."""
    from skimage.restoration import denoise_tv_chambolle

    return np.stack([denoise_tv_chambolle(picture, weight=WEIGHT * sigma, channel_axis=-1) for picture in pictures])


def _wrapped(side: int, sigma: float, reach: int) -> np.ndarray:
    """`[side]`: the Gaussian about place 0 of a circle, with sum 1."""
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = np.zeros(side)
    np.add.at(kernel, offsets % side, weights / weights.sum())
    return kernel
