"""Analytic judge of the scenes world: the factors that a sound encodes; nothing is trained."""

from __future__ import annotations

import functools

import numpy as np

from mmgen_jax.scenes.audio import CYCLES, HARMONICS, LOWEST, ONSET, PITCH, REGISTER, render
from mmgen_jax.scenes.factors import COLORS, DRAWS, MOTIONS, keys

FRAMES = 32  # analysis windows of a sound
WINDOW = 0.12  # length of a window, as a share of the sound
SKIP = ONSET  # share of the sound at its start that is not analysed: the latest onset
BLOCK = 32  # sounds analysed at once
PADDING = 4  # zero padding: the spectrum is sampled four times finer than the window's own resolution
NUM_HARMONICS = HARMONICS.shape[1]


def judge_audio(audio, sample_rate: int) -> dict[str, np.ndarray]:
    """`{"shape", "color", "size", "motion": [B] int32}` of `audio [B, S]` in [-1, 1].

    The pitch of each window is the strongest partial between the lowest and the highest fundamental. The mean pitch
    gives colour and size, and the amplitudes of the overtones give the shape. Glide, vibrato and tremolo are measured
    over time; the motion is that of the nearest of five clean sounds, one for each motion, which are rendered and
    analysed in the same way.

    Args:
      sample_rate: in Hz.
    """
    audio = np.asarray(audio, np.float32)
    parts = [_judge_block(audio[i : i + BLOCK], sample_rate) for i in range(0, len(audio), BLOCK)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _judge_block(audio: np.ndarray, sample_rate: int) -> dict[str, np.ndarray]:
    pitch, amplitude, partials = _track(audio, sample_rate)
    mean_pitch = (pitch * amplitude).sum(axis=1) / np.maximum(amplitude.sum(axis=1), 1e-9)
    # a whole tone is two semitones; a small object is six whole tones above a large object of its colour
    step = np.clip(np.round(mean_pitch / 2), 0, 2 * len(COLORS) - 1).astype(np.int32)
    recipes = HARMONICS / np.linalg.norm(HARMONICS, axis=1, keepdims=True)
    bends = _bends(pitch - mean_pitch[:, None], amplitude)
    clean = _clean_bends(audio.shape[1], sample_rate)
    spread = clean.std(axis=0)
    distance = (((bends[:, None] - clean) / spread) ** 2).sum(axis=-1)
    return {
        "shape": (partials @ recipes.T).argmax(axis=1).astype(np.int32),
        "color": step % len(COLORS),
        "size": np.where(step >= len(COLORS), 0, 1).astype(np.int32),
        "motion": distance.argmin(axis=1).astype(np.int32),
    }


def _track(audio: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pitch `[B, 32]` in semitones above `LOWEST`, its amplitude `[B, 32]`, and amplitudes of the partials `[B, 4]`.

    The amplitudes of the partials have unit norm.
    """
    samples = audio.shape[1]
    length = round(WINDOW * samples)
    starts = np.linspace(SKIP * samples, samples - length, FRAMES).astype(int)
    windows = audio[:, starts[:, None] + np.arange(length)] * np.hanning(length).astype(np.float32)
    size = PADDING * length
    spectrum = np.abs(np.fft.rfft(windows, n=size))  # [B, 32, bins]
    resolution = sample_rate / size  # Hz between bins
    margin = 2 ** (2 / 12)
    low = int(PITCH.min() * REGISTER.min() / margin / resolution)
    high = int(PITCH.max() * REGISTER.max() * margin / resolution) + 1
    peak = low + spectrum[:, :, low:high].argmax(axis=-1)  # [B, 32]
    overtones = np.minimum(peak[..., None] * np.arange(1, NUM_HARMONICS + 1), spectrum.shape[-1] - 1)
    amplitudes = np.take_along_axis(spectrum, overtones, axis=-1)  # [B, 32, 4]
    partials = np.sqrt((amplitudes**2).sum(axis=1))
    partials /= np.maximum(np.linalg.norm(partials, axis=1, keepdims=True), 1e-9)
    return 12 * np.log2(peak * resolution / LOWEST), amplitudes[..., 0], partials


def _bends(pitch: np.ndarray, amplitude: np.ndarray) -> np.ndarray:
    """`[B, 3]`: glide, vibrato and tremolo, each the inner product of pitch or loudness with a function of time."""
    time = SKIP + (1 - SKIP - WINDOW) * np.linspace(0, 1, FRAMES) + WINDOW / 2
    swing = 2 * np.pi * CYCLES * time
    loudness = amplitude / np.maximum(amplitude.mean(axis=1, keepdims=True), 1e-9)
    weight = np.minimum(loudness, 1.0)  # where a tremolo is silent, the measured pitch is noise
    line, sine, cosine = (basis - basis.mean() for basis in (time, np.sin(swing), np.cos(swing)))
    return np.stack([(pitch * weight) @ line, (pitch * weight) @ sine, loudness @ cosine], axis=1)


@functools.cache
def _clean_bends(samples: int, sample_rate: int) -> np.ndarray:
    """`[5, 3]`: the `_bends` of the five motions, for a large yellow circle."""
    count = len(MOTIONS)
    factors = {name: np.full(count, value) for name, value in (("shape", 0), ("color", 1), ("size", 1))}
    draw = {name: np.full(count, 0.5, np.float32) for name in DRAWS}
    indices = np.arange(count)
    sounds = render(factors | {"motion": indices}, draw, keys(0, "train", indices), samples, sample_rate)
    pitch, amplitude, _ = _track(sounds, sample_rate)
    return _bends(pitch - pitch.mean(axis=1, keepdims=True), amplitude)
