"""Distances between sounds and the true sounds, one number for each example; pure functions of NumPy arrays `[N, S]`.

Windows and filters are those of `networks/features/audio.py`, in float64. Power is raised to `RANGE` dB below the
loudest value of the recording, so that a gain changes no cepstrum, and silence has finite decibels.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from mmgen_jax.errors import InputError
from mmgen_jax.evaluators.measures.warping import warped_mean
from mmgen_jax.networks.features import audio

RANGE = 80.0  # dB below the loudest value that count
TINY = 1e-20  # power of digital silence
NUM_CEPSTRA = 13  # cepstra that are compared: c_1 to c_13
DISTORTION = 10.0 * math.sqrt(2.0) / math.log(10.0)  # K of the mel-cepstral distortion, in dB
LOWEST_F0, HIGHEST_F0 = 60.0, 400.0  # Hz
APERIODICITY = 0.15  # YIN's threshold; a frame above it is unvoiced
FEWEST_VOICED = 5  # frames that a correlation of F0 needs


class Pitch(NamedTuple):
    """Fundamental frequency in Hz, `[T]`, and whether a frame is voiced, `[T] bool`."""

    f0: np.ndarray
    voiced: np.ndarray


def mel_cepstral_distortion(sounds: np.ndarray, true: np.ndarray, sample_rate: int, warp: bool = False) -> np.ndarray:
    """Mel-cepstral distortion in dB, `[N]` (Kubichek 1993): `K sqrt(sum_d (c_d - c'_d)²)`, mean over frames.

    `K = 10 sqrt(2) / ln 10`; d is 1 to 13. c_0, the level, is left out, so that a gain changes nothing. The cepstra are
    the cosine series of the log amplitude over mel bands, `ln A = c_0 + sum_d c_d cos`. So the distortion of a frame is
    the root mean square, in dB, of the difference of two smoothed spectra.

    Args:
      sounds, true: `[N, S]`.
      warp: align the frames by dynamic time warping; else frame t is compared with frame t.
    """
    pairs = zip(*(cepstra(x, sample_rate)[..., 1:] for x in _pair(sounds, true)))
    return np.array([DISTORTION * _mean_distance(a, b, warp) for a, b in pairs])


def log_spectral_distance(sounds: np.ndarray, true: np.ndarray, sample_rate: int) -> np.ndarray:
    """Log-spectral distance in dB, `[N]` (Gray and Markel 1976): root mean square over frequency, mean over frames.

    Both power spectra are raised to `RANGE` dB below the loudest value of the true one.
    """
    n_fft, hop_length, _ = audio.frame_sizes(sample_rate)
    of_sounds, of_true = (spectrogram(x, n_fft, hop_length) for x in _pair(sounds, true))
    floor = np.maximum(of_true.max((1, 2), keepdims=True) * 10 ** (-RANGE / 10), TINY)
    difference = 10 * np.log10(np.maximum(of_sounds, floor) / np.maximum(of_true, floor))
    return np.sqrt((difference**2).mean(-1)).mean(-1)


def warped_mel_distance(sounds: np.ndarray, true: np.ndarray, sample_rate: int) -> np.ndarray:
    """Root mean square over mel bands of the difference in dB, `[N]`, mean over the frames of a warping path."""
    decibels = [20 / math.log(10) * log_mel(x, sample_rate) for x in _pair(sounds, true)]
    return np.array([_mean_distance(a, b, True) / math.sqrt(a.shape[-1]) for a, b in zip(*decibels)])


def envelope_correlation(sounds: np.ndarray, true: np.ndarray, sample_rate: int) -> np.ndarray:
    """Correlation `[N]`, in [-1, 1], of the loudness over time: the root mean square of each frame; 0 if constant."""
    n_fft, hop_length, _ = audio.frame_sizes(sample_rate)
    of_sounds, of_true = (np.sqrt((_frames(x, n_fft, hop_length) ** 2).mean(-1)) for x in _pair(sounds, true))
    return np.array([correlation(a, b) for a, b in zip(of_sounds, of_true)])


def pitch_agreement(sounds: np.ndarray, true: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """`(correlation [N] of F0, share [N] of frames that are voiced in both or in neither)`.

    The correlation is over the frames that are voiced in both sounds; NaN where these are fewer than `FEWEST_VOICED`.
    """
    found, shares = [], []
    for x, y in zip(*_pair(sounds, true)):
        own, other = pitch(x, sample_rate), pitch(y, sample_rate)
        both = own.voiced & other.voiced
        enough = both.sum() >= FEWEST_VOICED
        found.append(correlation(own.f0[both], other.f0[both]) if enough else np.nan)
        shares.append((own.voiced == other.voiced).mean())
    return np.array(found), np.array(shares)


def pitch(sound: np.ndarray, sample_rate: int, hop_length: int = 0) -> Pitch:
    """F0 of a sound `[S]` by YIN (de Cheveigné and Kawahara 2002), from 60 to 400 Hz.

    The window is two of the longest periods. Departs from the paper: no second search around the first estimate; a
    frame is voiced where the aperiodicity is below the threshold, 0.15.
    """
    hop_length = hop_length or audio.frame_sizes(sample_rate)[1]
    shortest, longest = int(sample_rate / HIGHEST_F0), math.ceil(sample_rate / LOWEST_F0)
    width = 2 * longest
    frames = _frames(np.asarray(sound, np.float64)[None], width + longest + 2, hop_length)[0]  # [T, W + lags]
    size = 1 << (3 * width).bit_length()
    spectra = np.fft.rfft(frames, size), np.fft.rfft(frames[:, :width], size)
    products = np.fft.irfft(spectra[0] * spectra[1].conj(), size)[:, : longest + 2]  # sum_j x_j x_{j + lag}
    energy = np.concatenate([np.zeros((len(frames), 1)), np.cumsum(frames**2, -1)], -1)
    energies = energy[:, width : width + longest + 2] - energy[:, : longest + 2]
    difference = np.maximum(energies[:, :1] + energies - 2 * products, 0.0)  # equation 6
    means = np.cumsum(difference[:, 1:], -1) / np.arange(1, longest + 2)
    normalised = np.where(means > 1e-12, difference[:, 1:] / np.maximum(means, 1e-12), 1.0)  # equation 8, lags from 1
    f0, voiced = np.full(len(frames), np.nan), np.zeros(len(frames), bool)
    for t, row in enumerate(normalised):
        below = np.flatnonzero(row[shortest - 1 : longest] < APERIODICITY)
        if below.size:
            lag = below[0] + shortest - 1
            while lag + 1 < longest and row[lag + 1] < row[lag]:  # down to the dip's lowest place
                lag += 1
            f0[t], voiced[t] = sample_rate / (1 + lag + _vertex(row, lag)), True
    return Pitch(f0, voiced)


def _vertex(row: np.ndarray, at: int) -> float:
    """Offset in [-1, 1] of the lowest place of the parabola through three values."""
    if not 0 < at < len(row) - 1:
        return 0.0
    before, here, after = row[at - 1 : at + 2]
    bend = before - 2 * here + after
    return float(np.clip((before - after) / (2 * bend), -1, 1)) if bend > 1e-12 else 0.0


def cepstra(sounds: np.ndarray, sample_rate: int) -> np.ndarray:
    """`[N, T, 14]`: c_0 to c_13 of the cosine series of `log_mel`."""
    levels = log_mel(sounds, sample_rate)
    num = levels.shape[-1]
    angles = np.pi / num * np.arange(NUM_CEPSTRA + 1)[:, None] * (np.arange(num) + 0.5)
    weights = np.where(np.arange(NUM_CEPSTRA + 1)[:, None] > 0, 2.0, 1.0) / num
    return levels @ (weights * np.cos(angles)).T


def log_mel(sounds: np.ndarray, sample_rate: int) -> np.ndarray:
    """Natural logarithm of the amplitude in mel bands, `[N, S]` to `[N, T, n_mels]`; see the head of this file."""
    n_fft, hop_length, n_mels = audio.frame_sizes(sample_rate)
    power = spectrogram(sounds, n_fft, hop_length) @ audio.mel_filters(sample_rate, n_fft, n_mels).T.astype(np.float64)
    floor = np.maximum(power.max((1, 2), keepdims=True) * 10 ** (-RANGE / 10), TINY)
    return 0.5 * np.log(np.maximum(power, floor))


def spectrogram(sounds: np.ndarray, n_fft: int, hop_length: int) -> np.ndarray:
    """Power `[N, T, n_fft // 2 + 1]` of sounds `[N, S]`; frame t is centred on sample `t hop_length`."""
    window = np.hanning(n_fft + 1)[:-1]
    return np.stack([np.abs(np.fft.rfft(frames * window)) ** 2 for frames in _frames(sounds, n_fft, hop_length)])


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation of two series `[T]`; 0 where either is constant."""
    a, b = a - a.mean(), b - b.mean()
    scale = math.sqrt(float((a**2).sum() * (b**2).sum()))
    return float((a * b).sum() / scale) if scale > 1e-12 else 0.0


def _frames(sounds: np.ndarray, size: int, hop_length: int) -> np.ndarray:
    """`[N, T, size]`, centred on every `hop_length`-th sample, zeros beyond the ends."""
    padded = np.pad(np.asarray(sounds, np.float64), ((0, 0), (size // 2, size // 2)))
    return np.lib.stride_tricks.sliding_window_view(padded, size, axis=-1)[:, ::hop_length]


def _mean_distance(a: np.ndarray, b: np.ndarray, warp: bool) -> float:
    """Mean Euclidean distance of the frames of `a [T, D]` and `b [T, D]`."""
    if not warp:
        return float(np.sqrt(((a - b) ** 2).sum(-1)).mean())
    squares = (a**2).sum(-1)[:, None] + (b**2).sum(-1) - 2 * a @ b.T
    return warped_mean(np.sqrt(np.maximum(squares, 0)))


def _pair(sounds: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if np.shape(sounds) != np.shape(true) or np.ndim(true) != 2:
        raise InputError(
            f"sounds: expected two arrays [N, S] of one shape, got {list(np.shape(sounds))} and "
            f"{list(np.shape(true))}; cut or pad them to one length"
        )
    return np.asarray(sounds, np.float64), np.asarray(true, np.float64)
