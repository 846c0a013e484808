"""Distances of pictures and clips from the true ones, in a stated colour space and with a stated border left out."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from mmgen_jax.errors import InputError
from mmgen_jax.evaluators.measures import structure
from mmgen_jax.modalities.picture import LUMA

SMALLEST_MSE = 1e-10  # so an exact copy counts as 100 dB: an infinite PSNR would make the mean infinite
TOLERANCE = 1e-5  # of a value at the end of its range, for rounding
BLACK, WHITE = 16 / 255, 235 / 255  # of the luma in its studio range
Colour = Literal["rgb", "bt601_y"]


def measure(
    samples: np.ndarray, real: np.ndarray, colour: Colour = "rgb", border: int = 0, batch_size: int = 100
) -> dict[str, np.ndarray]:
    """`{metric: [N] float64}` of images `[N, H, W, C]` or videos `[N, T, H, W, C]` in [-1, 1].

    Values are first mapped to [0, 1]; they are not rounded to 8 bits.

        mse   mean squared error of the whole picture or clip
        l1    mean absolute error of the whole picture or clip
        psnr  -10 log10(mse), in dB, at most 100
        ssim  Wang et al. 2004, Gaussian window of 11 px, mean over frames and channels; absent for sides below 11 px

    Args:
      colour: `rgb`, the channels as they are; or `bt601_y`, the luma in its studio range (`luma`), as papers on
        super-resolution have it. The largest possible difference counts as 1 in both.
      border: pixels left out at each of the four sides.

    Raises:
      InputError: the shapes differ, are neither of images nor of videos, or are smaller than the borders; or the luma
        of other than 1 or 3 channels.
    """
    if samples.shape != real.shape:
        raise InputError(f"fidelity: expected pictures or clips of one shape, got {samples.shape}, {real.shape}")
    check(real.shape, colour, border)
    inner = slice(border, -border or None)
    samples, real = (unit(x[..., inner, inner, :]) for x in (samples, real))
    if colour == "bt601_y":
        samples, real = luma(samples), luma(real)
    axes = tuple(range(1, real.ndim))
    mse = np.square(samples - real).mean(axes)
    values = {"psnr": psnr(mse), "mse": mse, "l1": np.abs(samples - real).mean(axes)}
    if min(real.shape[-3:-1]) >= structure.WINDOW:
        frames = [np.moveaxis(x.reshape(-1, *x.shape[-3:]), -1, 1) for x in (samples, real)]
        blocks = [
            structure.terms(*(x[i : i + batch_size] for x in frames), data_range=1)[0]
            for i in range(0, len(frames[0]), batch_size)
        ]
        values["ssim"] = np.concatenate(blocks).reshape(len(real), -1).mean(1)
    return values


def check(shape: tuple[int, ...], colour: Colour, border: int) -> None:
    """Raises InputError for a shape `[N, H, W, C]` or `[N, T, H, W, C]` that `measure` cannot measure."""
    if len(shape) not in (4, 5):
        raise InputError(f"fidelity: expected pictures or clips, got shape {shape}")
    height, width, channels = shape[-3:]
    if min(height, width) <= 2 * border:
        raise InputError(f"fidelity: a border of {border} px leaves nothing of {height} x {width} px; lower `border`")
    if colour == "bt601_y" and channels not in (1, 3):
        raise InputError(f"fidelity: the luma is of 1 or 3 channels, got {channels}; set colour='rgb'")


def about(colour: Colour, border: int, channels: int) -> dict[str, Any]:
    """The fields of an entry that name the measured variant: `colour`, `border` (px), `range` and `preprocessing`."""
    own = {1: "grey", 3: "rgb"}.get(channels, f"{channels} channels")
    return {
        "colour": own if colour == "rgb" else colour,
        "border": border,
        "range": "[0, 1]" if colour == "rgb" else "[16 / 255, 235 / 255], peak 1",
        "preprocessing": "from [-1, 1] to [0, 1]; mean of per-example values",
    }


def unit(x: np.ndarray) -> np.ndarray:
    """Values in [-1, 1], which may leave the range by `TOLERANCE` and are clipped, to [0, 1] float64.

    Raises:
      InputError: a value that is not finite, or out of range.
    """
    if not np.isfinite(x).all():
        raise InputError(f"fidelity: expected finite values, got {np.sum(~np.isfinite(x))} of {x.size} that are not")
    if np.abs(x).max(initial=0) > 1 + TOLERANCE:
        raise InputError(f"fidelity: expected values in [-1, 1], got {x.min():.4g} to {x.max():.4g}; clip the samples")
    return np.clip(x, -1, 1).astype(np.float64) / 2 + 0.5


def luma(x: np.ndarray) -> np.ndarray:
    """Y of BT.601 in its studio range, `[..., 1]` from 16 / 255 to 235 / 255, of `[..., C]` in [0, 1].

    One channel counts as three equal ones. Y is not rounded to whole levels.
    """
    grey = x if x.shape[-1] == 1 else (x @ LUMA)[..., None]
    return BLACK + (WHITE - BLACK) * grey


def psnr(mse: np.ndarray) -> np.ndarray:
    """`[N]` dB of mean squared errors `[N]` of values in [0, 1], at most 100."""
    return -10 * np.log10(np.maximum(mse, SMALLEST_MSE))
