"""Resampling of waveforms, for any pair of sample rates."""

from __future__ import annotations

import math

import numpy as np

ZERO_CROSSINGS = 24  # zero crossings of the sinc on each side
ROLL_OFF = 0.92  # the cut-off as a share of the lower Nyquist frequency; the rest is the transition band
CHUNK = 2**20  # values of the kernel computed at a time


def resample(samples: np.ndarray, rate: int, target_rate: int, num_samples: int) -> np.ndarray:
    """`[N]` float64 at `target_rate` Hz of a waveform `[M]` at `rate` Hz, N being at most `num_samples`.

    N is smaller than `num_samples` where the waveform is shorter. Band-limited interpolation by a sinc with a Blackman
    window (Smith, "Digital Audio Resampling", 1984); outside its ends the waveform is taken as 0. The ratio of the
    rates is exact, and the cost does not depend on their common factors.
    """
    num_samples = min(num_samples, math.ceil(len(samples) * target_rate / rate))
    cutoff = ROLL_OFF * min(1.0, target_rate / rate)  # in units of the Nyquist frequency of `rate`
    reach = math.ceil(ZERO_CROSSINGS / cutoff)  # samples of `rate` to each side
    needed = math.ceil(num_samples * rate / target_rate) + reach
    padded = np.pad(np.asarray(samples[:needed], np.float64), (reach, max(0, needed - len(samples)) + reach))
    offsets = np.arange(1 - reach, reach + 1)
    result = np.empty(num_samples)
    step = max(1, CHUNK // len(offsets))
    for start in range(0, num_samples, step):
        whole, part = np.divmod(np.arange(start, min(start + step, num_samples)) * rate, target_rate)
        phases, phase = np.unique(part, return_inverse=True)
        distance = phases[:, None] / target_rate - offsets  # [phases, taps], in samples of `rate`
        turn = np.pi * distance / reach
        window = 0.42 + 0.5 * np.cos(turn) + 0.08 * np.cos(2 * turn)
        kernel = cutoff * np.sinc(cutoff * distance) * window
        result[start : start + step] = np.einsum("nk,nk->n", padded[whole[:, None] + offsets + reach], kernel[phase])
    return result
