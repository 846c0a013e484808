"""Distances of the frames of clips from the true frames, for each time step."""

from __future__ import annotations

import numpy as np

from mmgen_jax.errors import InputError
from mmgen_jax.evaluators.measures import fidelity, structure


def measure(samples: np.ndarray, real: np.ndarray, batch_size: int = 100) -> dict[str, np.ndarray]:
    """`{metric: [N, T] float64}` of clips `[N, T, H, W, C]` in [0, 1].

        mse           squared error, summed over the pixels and channels of a frame (as in OpenSTL, Tan et al., 2023)
        mse_of_value  squared error, averaged over the pixels and channels of a frame
        psnr          -10 log10(mse_of_value), in dB, at most 100
        ssim          Wang et al. 2004, Gaussian window of 11 px, mean over channels; absent for sides below 11 px

    Raises:
      InputError: the shapes differ, are not of clips, or a value is outside [0, 1].
    """
    if samples.shape != real.shape or real.ndim != 5:
        raise InputError(f"frames: expected clips [N, T, H, W, C] of one shape, got {samples.shape}, {real.shape}")
    for name, x in (("samples", samples), ("real", real)):
        if not (x.min() >= 0 and x.max() <= 1):  # also refuses NaN
            raise InputError(
                f"frames: expected {name} in [0, 1], got {x.min():.4g} to {x.max():.4g}; map values in [-1, 1] by "
                "x / 2 + 0.5, and clip what a model draws"
            )
    samples, real = samples.astype(np.float64), real.astype(np.float64)
    mse = np.square(samples - real).mean((2, 3, 4))
    size = real[0, 0].size
    values = {"mse": mse * size, "mse_of_value": mse, "psnr": fidelity.psnr(mse)}
    if min(real.shape[2:4]) >= structure.WINDOW:
        frames = [np.moveaxis(x.reshape(-1, *x.shape[2:]), -1, 1) for x in (samples, real)]
        blocks = [
            structure.terms(*(x[i : i + batch_size] for x in frames), data_range=1)[0]
            for i in range(0, len(frames[0]), batch_size)
        ]
        values["ssim"] = np.concatenate(blocks).reshape(real.shape[:2])
    return values
