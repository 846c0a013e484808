"""Sounds of the scenes world: the shape is the timbre, the colour the pitch, the size the register, the motion a bend.

A large object sounds an octave below a small one. The six colours are whole tones apart, within one octave. An object
that moves up or down glides by 3 semitones in all, centred on its pitch. Moving left is a tremolo of four periods
(loudness), moving right a vibrato of four periods (pitch). An object that stands still keeps its pitch.
"""

from __future__ import annotations

import numpy as np

from mmgen_jax.scenes.factors import AUDIO_NOISE, COLORS, noise

LOWEST = 220.0  # Hz, of a large red object
PITCH = LOWEST * 2.0 ** (np.arange(len(COLORS)) / 6)  # [6] Hz, of large objects
REGISTER = np.array([2.0, 1.0])  # small, large
HARMONICS = np.array(  # [6, 4] amplitudes of the fundamental and three overtones
    [[1, 0, 0, 0], [1, 0, 0.7, 0], [1, 0.7, 0, 0], [1, 0.7, 0.7, 0.7], [1, 0, 0, 0.7], [1, 0.7, 0, 0.7]], np.float32
)
GLIDE = 2 ** (1.5 / 12) - 1  # 1.5 semitones either way
VIBRATO = 2 ** (0.8 / 12) - 1
CYCLES = 4  # of tremolo and vibrato, in the whole sound
TREMOLO = 0.7  # depth: the largest share of the amplitude that is removed
ONSET = 0.1  # the latest onset, as a fraction of the sound
ATTACK, RELEASE = 0.02, 0.06  # s
MIN_SAMPLE_RATE = 7200  # Hz: twice the highest overtone, with its glide


def render(factors, draw, key: np.ndarray, num_samples: int, sample_rate: int) -> np.ndarray:
    """Waveforms `[B, num_samples] float32` in [-1, 1].

    Args:
      factors: `{factor: [B] ids}`, of `factors.sample`.
      draw: `{name: [B]}` uniform numbers, of `factors.draws`.
      key: `[B] uint64`, of `factors.keys`, for the noise.
      sample_rate: in Hz, at least `MIN_SAMPLE_RATE`.
    """
    seconds = num_samples / sample_rate
    time = np.arange(num_samples, dtype=np.float32) / np.float32(num_samples)  # [0, 1)
    detune = 2 ** (0.25 / 12 * (2 * draw["detune"].astype(np.float64) - 1))  # a quarter of a semitone either way
    frequency = PITCH[factors["color"]] * REGISTER[factors["size"]] * detune  # [B] Hz
    turns, envelope = _bends(time.astype(np.float64))
    phase = (frequency * seconds)[:, None] * turns[factors["motion"]] + draw["phase"][:, None]  # in turns
    phase -= np.floor(phase)
    phase = (2 * np.pi * phase).astype(np.float32)
    # sum_n a_n sin(n p) = sin(p) sum_n a_n U_{n-1}(cos p), with Chebyshev polynomials of the second kind U: four
    # partials cost one sine and one cosine.
    sin, cos = np.sin(phase), np.cos(phase, out=phase)
    a1, a2, a3, a4 = (HARMONICS / HARMONICS.sum(axis=1, keepdims=True))[factors["shape"]].T[..., None]
    wave = ((8 * a4 * cos + 4 * a3) * cos + (2 * a2 - 4 * a4)) * cos + (a1 - a3)
    wave *= sin
    wave *= envelope[factors["motion"]]
    onset = ONSET * seconds * draw["onset"][:, None]
    rise = (time * np.float32(seconds) - onset) / np.float32(ATTACK)
    wave *= np.clip(rise, 0, 1, out=rise)
    wave *= np.clip((1 - time) * np.float32(seconds / RELEASE), 0, 1)
    wave *= 0.4 + 0.5 * draw["loudness"][:, None]
    wave += (0.002 + 0.018 * draw["hiss"][:, None]) * noise(key, AUDIO_NOISE, num_samples)
    return np.clip(wave, -1.0, 1.0, out=wave)


def _bends(time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For every motion `[5, S]`: its relative frequency, integrated over time; and its amplitude envelope `[5, S]`."""
    glide = GLIDE * (time**2 - time)  # the integral of GLIDE (2 t - 1)
    waver = VIBRATO * (1 - np.cos(2 * np.pi * CYCLES * time)) / (2 * np.pi * CYCLES)
    turns = np.stack([time, time, time + waver, time + glide, time - glide])
    tremolo = 1 - TREMOLO / 2 * (1 - np.cos(2 * np.pi * CYCLES * time))
    envelope = np.ones((5, len(time)), np.float32)
    envelope[1] = tremolo
    return turns, envelope
