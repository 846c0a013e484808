"""Spectral features of waveforms `[..., S]`, and waveforms from spectra, in JAX: differentiable, batched, float32.

Time comes before frequency in every result (`[..., T, F]`), so that a frame is a token. Frame `t` is centred on sample
`t * hop_length`, and `T = 1 + S // hop_length`. Filterbank, decibels and cepstra follow librosa's defaults: periodic
Hann window of length `n_fft`, zero padding around the waveform, Slaney's mel scale, area-normalised filters.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np

from mmgen_jax.errors import InputError

AMIN, DB_MIN = 1e-10, -100.0  # the least power in a decibel scale, and its decibels
TINY = 1e-20  # least power in a denominator
WINDOW = 0.064  # length of a window in seconds


class FrameSizes(NamedTuple):
    """Samples in a window, samples from one window's start to the next, and number of mel bands."""

    n_fft: int
    hop_length: int
    n_mels: int


def frame_sizes(sample_rate: int, n_fft: int = 0, hop_length: int = 0, n_mels: int = 0) -> FrameSizes:
    """The given sizes; a size of 0 follows from `sample_rate` (Hz).

    `n_fft` is then the power of two nearest to 64 ms, `hop_length` a quarter of `n_fft`, and `n_mels` one band per 200
    Hz of sample rate, at most 80: 8 kHz gives 512, 128, 40 and 16 kHz gives 1024, 256, 80.
    """
    n_fft = n_fft or 2 ** round(math.log2(WINDOW * sample_rate))
    return FrameSizes(n_fft, hop_length or n_fft // 4, n_mels or min(80, sample_rate // 200))


def stft(waveform: jax.Array, n_fft: int, hop_length: int, pad_mode: str = "constant") -> jax.Array:
    """Short-time Fourier transform, `[..., S]` to `[..., T, n_fft // 2 + 1]` complex64.

    `pad_mode`, a mode of `jnp.pad`, fills the `n_fft // 2` samples before and after the waveform.
    """
    half = n_fft // 2
    padding = [(0, 0)] * (waveform.ndim - 1) + [(half, half)]
    padded = jnp.pad(waveform.astype(jnp.float32), padding, mode=pad_mode)
    count = 1 + (padded.shape[-1] - n_fft) // hop_length
    frames = padded[..., np.arange(count)[:, None] * hop_length + np.arange(n_fft)]
    return jnp.fft.rfft(frames * _window(n_fft))


def istft(spectrum: jax.Array, hop_length: int, length: int) -> jax.Array:
    """The waveform `[..., length]` whose STFT is nearest to `spectrum` `[..., T, F]` in least squares."""
    *lead, count, bins = spectrum.shape
    n_fft = 2 * (bins - 1)
    window = _window(n_fft)
    summed = _overlap_add(jnp.fft.irfft(spectrum, n_fft) * window, hop_length)
    weight = _overlap_add(jnp.broadcast_to(window**2, (count, n_fft)), hop_length)
    waveform = (summed / jnp.where(weight > 1e-8, weight, 1.0))[..., n_fft // 2 :]
    short = max(0, length - waveform.shape[-1])
    return jnp.pad(waveform, [(0, 0)] * len(lead) + [(0, short)])[..., :length]


def spectrogram(waveform: jax.Array, n_fft: int, hop_length: int, pad_mode: str = "constant") -> jax.Array:
    """Power `|STFT|²`, `[..., T, n_fft // 2 + 1]`."""
    spectrum = stft(waveform, n_fft, hop_length, pad_mode)
    return jnp.square(spectrum.real) + jnp.square(spectrum.imag)  # not abs(), whose gradient at 0 is NaN


def mel_spectrogram(
    waveform: jax.Array,
    sample_rate: int,
    n_fft: int = 0,
    hop_length: int = 0,
    n_mels: int = 0,
    fmin: float = 0.0,
    fmax: float | None = None,
    pad_mode: str = "constant",
) -> jax.Array:
    """Power in mel bands, `[..., S]` to `[..., T, n_mels]`, with filters from `fmin` to `fmax` Hz.

    `fmax` None is half the sample rate. `n_fft`, `hop_length` and `n_mels` that are 0 follow from the sample rate
    (`frame_sizes`).
    """
    n_fft, hop_length, n_mels = frame_sizes(sample_rate, n_fft, hop_length, n_mels)
    filters = mel_filters(sample_rate, n_fft, n_mels, fmin, fmax)
    return jnp.matmul(spectrogram(waveform, n_fft, hop_length, pad_mode), filters.T, precision="highest")


def log_mel(
    waveform: jax.Array,
    sample_rate: int,
    n_fft: int = 0,
    hop_length: int = 0,
    n_mels: int = 0,
    fmin: float = 0.0,
    fmax: float | None = None,
    top_db: float | None = 80.0,
    pad_mode: str = "constant",
) -> jax.Array:
    """Mel spectrogram in decibels, `[B, S]` to `[B, T, n_mels]`: `decibels` of `mel_spectrogram`."""
    return decibels(mel_spectrogram(waveform, sample_rate, n_fft, hop_length, n_mels, fmin, fmax, pad_mode), top_db)


def decibels(power: jax.Array, top_db: float | None = 80.0) -> jax.Array:
    """`10 log10(max(power, 1e-10))` of power `[..., T, F]`.

    With `top_db`, values below `maximum - top_db` are raised to this level; the maximum is over T and F.
    """
    db = 10.0 / math.log(10.0) * jnp.log(jnp.maximum(power, AMIN))
    if top_db is None:
        return db
    return jnp.maximum(db, db.max(axis=(-2, -1), keepdims=True) - top_db)


def mfcc(waveform: jax.Array, sample_rate: int, n_mfcc: int = 13, **log_mel_options) -> jax.Array:
    """Mel-frequency cepstral coefficients, `[B, S]` to `[B, T, n_mfcc]`: the orthonormal DCT-II of `log_mel`."""
    mel = log_mel(waveform, sample_rate, **log_mel_options)
    n_mels = mel.shape[-1]
    if n_mfcc > n_mels:
        raise InputError(f"mfcc: expected n_mfcc of at most n_mels = {n_mels}, got {n_mfcc}; raise n_mels")
    return jnp.matmul(mel, _dct(n_mels)[:n_mfcc].T, precision="highest")


def deltas(features: jax.Array, width: int = 9, order: int = 1) -> jax.Array:
    """The `order`-th time derivative of features `[..., T, F]`, per frame, by a Savitzky-Golay filter.

    A polynomial of degree `order` is fitted to each window of `width` frames; its `order`-th derivative is constant in
    the window. The first and last `width // 2` frames take the value of the first and last whole window.

    Raises:
      InputError: `width` is even, below 3, or larger than T.
    """
    if width < 3 or width % 2 == 0 or width > features.shape[-2]:
        raise InputError(
            f"deltas: expected an odd width from 3 to the number of frames, {features.shape[-2]}, got {width}; "
            "use a smaller width or hop_length"
        )
    half = width // 2
    fit = np.linalg.pinv(np.vander(np.arange(-half, half + 1.0), order + 1, increasing=True))
    weights = (math.factorial(order) * fit[order]).astype(np.float32)
    count = features.shape[-2] - width + 1
    inner = sum(weights[i] * features[..., i : i + count, :] for i in range(width))
    return jnp.pad(inner, [(0, 0)] * (features.ndim - 2) + [(half, half), (0, 0)], mode="edge")


def griffin_lim(
    magnitude: jax.Array, key: jax.Array, hop_length: int, length: int, n_iter: int = 32, momentum: float = 0.99
) -> jax.Array:
    """A waveform `[..., length]` whose STFT has about the given magnitude `[..., T, F]`, by Griffin-Lim.

    The first phases are random, from `key`. Perraudin, Balazs and Søndergaard 2013, "A fast Griffin-Lim algorithm";
    `momentum` 0 is the algorithm of Griffin and Lim 1984.
    """
    n_fft = 2 * (magnitude.shape[-1] - 1)

    def step(_, state):
        angles, previous = state
        rebuilt = stft(istft(magnitude * angles, hop_length, length), n_fft, hop_length)
        angles = rebuilt - momentum / (1.0 + momentum) * previous
        return angles / (jnp.abs(angles) + 1e-16), rebuilt

    angles = jnp.exp(2j * jnp.pi * jax.random.uniform(key, magnitude.shape)).astype(jnp.complex64)
    angles, _ = jax.lax.fori_loop(0, n_iter, step, (angles, jnp.zeros_like(angles)))
    return istft(magnitude * angles, hop_length, length)


def mel_to_spectrogram(
    mel: jax.Array, sample_rate: int, n_fft: int, fmin: float = 0.0, fmax: float | None = None, n_iter: int = 50
) -> jax.Array:
    """Non-negative power `[..., T, n_fft // 2 + 1]` whose mel power is near `mel [..., T, n_mels]`.

    Method: multiplicative updates of Lee and Seung 2001 ("Algorithms for non-negative matrix factorization") for the
    Kullback-Leibler divergence, with fixed filters (Richardson 1972, Lucy 1974). The clipped pseudo-inverse of the
    filters would have a large error where a weak band is next to a strong band.
    """
    filters = mel_filters(sample_rate, n_fft, mel.shape[-1], fmin, fmax)
    covered = filters / np.maximum(filters.sum(axis=0), 1e-12)  # 0 outside all filters: the first and last frequency

    def update(_, power):
        estimate = jnp.matmul(power, filters.T, precision="highest")
        return power * jnp.matmul(mel / jnp.maximum(estimate, TINY), covered, precision="highest")

    start = jnp.matmul(mel, filters / filters.sum(axis=1, keepdims=True), precision="highest")
    return jax.lax.fori_loop(0, n_iter, update, start)


def invert_log_mel(
    db: jax.Array,
    key: jax.Array,
    sample_rate: int,
    length: int,
    n_fft: int = 0,
    hop_length: int = 0,
    fmin: float = 0.0,
    fmax: float | None = None,
    n_iter: int = 32,
    momentum: float = 0.99,
) -> jax.Array:
    """A waveform `[B, length]` in [-1, 1] from decibels `[B, T, n_mels]` of `log_mel` with the same settings."""
    n_fft, hop_length, _ = frame_sizes(sample_rate, n_fft, hop_length)
    power = mel_to_spectrogram(10.0 ** (db / 10.0), sample_rate, n_fft, fmin, fmax)
    return jnp.clip(griffin_lim(jnp.sqrt(power), key, hop_length, length, n_iter, momentum), -1.0, 1.0)


@functools.lru_cache(maxsize=32)
def mel_filters(sample_rate: int, n_fft: int, n_mels: int, fmin: float = 0.0, fmax: float | None = None) -> np.ndarray:
    """Triangular filters `[n_mels, n_fft // 2 + 1]`, evenly spaced on Slaney's mel scale, each of unit area over Hz.

    Raises:
      InputError: not `0 <= fmin < fmax <= sample_rate / 2`, or a filter so narrow that it contains no frequency bin.
    """
    fmax = sample_rate / 2 if fmax is None else fmax
    if not 0 <= fmin < fmax <= sample_rate / 2:
        raise InputError(
            f"mel_filters: expected 0 <= fmin < fmax <= {sample_rate / 2:g} Hz, got fmin {fmin:g}, fmax {fmax:g}; "
            "half the sample rate is the highest frequency there is"
        )
    corners = _mel_to_hz(np.linspace(_hz_to_mel(fmin), _hz_to_mel(fmax), n_mels + 2))
    lower, centre, upper = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    frequency = np.arange(n_fft // 2 + 1) * sample_rate / n_fft
    triangle = np.minimum((frequency - lower) / (centre - lower), (upper - frequency) / (upper - centre))
    filters = np.maximum(triangle, 0.0) * 2.0 / (upper - lower)
    if empty := int((filters.max(axis=1) == 0).sum()):
        raise InputError(
            f"mel_filters: {empty} of n_mels = {n_mels} filters hold no frequency bin at n_fft = {n_fft} and "
            f"{sample_rate} Hz; use fewer n_mels or a larger n_fft"
        )
    filters = filters.astype(np.float32)
    filters.flags.writeable = False  # every caller gets the same cached array
    return filters


# Slaney's mel scale: 3 mel per 200 Hz up to 1 kHz, then 27 mel for each factor of 6.4.
_KNEE, _PER_HZ, _LOG_STEP = 1000.0, 3.0 / 200.0, math.log(6.4) / 27.0


def _hz_to_mel(hz: float) -> float:
    return hz * _PER_HZ if hz < _KNEE else _KNEE * _PER_HZ + math.log(hz / _KNEE) / _LOG_STEP


def _mel_to_hz(mel: np.ndarray) -> np.ndarray:
    above = np.maximum(mel - _KNEE * _PER_HZ, 0.0)
    return np.where(above > 0, _KNEE * np.exp(above * _LOG_STEP), mel / _PER_HZ)


def _window(n_fft: int) -> np.ndarray:
    return np.hanning(n_fft + 1)[:-1].astype(np.float32)


def _dct(size: int) -> np.ndarray:
    """Orthonormal DCT-II, `[size, size]`: row k holds cos(π k (2n + 1) / 2N)."""
    n = np.arange(size)
    matrix = np.sqrt(2.0 / size) * np.cos(np.pi * n[:, None] * (2 * n + 1) / (2 * size))
    matrix[0] /= math.sqrt(2.0)
    return matrix.astype(np.float32)


def _overlap_add(frames: jax.Array, hop_length: int) -> jax.Array:
    """Frames `[..., T, n]`, whose starts are `hop_length` apart, summed to `[..., (T + n / hop - 1) hop]`."""
    *lead, count, size = frames.shape
    blocks = -(-size // hop_length)
    frames = jnp.pad(frames, [(0, 0)] * (len(lead) + 1) + [(0, blocks * hop_length - size)])
    frames = frames.reshape(*lead, count, blocks, hop_length)
    shifted = [jnp.pad(frames[..., i, :], [(0, 0)] * len(lead) + [(i, blocks - 1 - i), (0, 0)]) for i in range(blocks)]
    return cast(jax.Array, sum(shifted)).reshape(*lead, -1)
