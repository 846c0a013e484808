"""The network that judges sounds, and how it is trained."""

from __future__ import annotations

import dataclasses

import flax.linen as nn
import jax
import numpy as np

from mmgen_jax.evaluators.judges.image import block, even, halved, head
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.networks.features.audio import decibels, mel_spectrogram
from mmgen_jax.networks.layers.patches import space_to_depth

VERSION = 1  # raise it whenever the architecture or the training below changes
RANGE = 60.0  # dB below the loudest band and frame; lower levels are raised to this level


@dataclasses.dataclass(frozen=True)
class Training:
    """How a judge of sounds is trained: as a judge of pictures, with other augmentation.

    Args:
      shift: largest shift earlier or later, as a share of the sound's length; zeros fill the gap.
      stretch: largest change of speed either way, as a share; the pitch changes with the speed.
      noise: largest amplitude of added white noise, as a share of the sound's root mean square.
    """

    steps: int = 600
    batch_size: int = 64
    lr: float = 2e-3
    weight_decay: float = 1e-2
    label_smoothing: float = 0.05
    shift: float = 0.1
    stretch: float = 0.12
    noise: float = 0.3
    seed: int = 0


class Network(nn.Module):
    """`[B, S]` in [-1, 1] to logits `[B, num_classes]` and features `[B, 128]`, non-negative.

    The log-mel spectrogram, limited to the loudest 60 dB, is treated as a picture of one channel. Convolutions and
    pooling as in the judge of pictures, until at most 8 frames and 8 bands are left.
    """

    num_classes: int
    sample_rate: int

    @nn.compact
    def __call__(self, waveform: jax.Array, train: bool = False) -> tuple[jax.Array, jax.Array]:
        levels = decibels(mel_spectrogram(waveform, self.sample_rate), RANGE)
        levels = (levels - levels.max(axis=(1, 2), keepdims=True)) / RANGE * 2 + 1  # [B, T, n_mels] in [-1, 1]
        x = block(space_to_depth(even(levels[..., None]), (2, 2)), 48, train)
        while max(x.shape[1:3]) > 8:
            x = block(halved(x), 64, train)
        return head(x.reshape(x.shape[0], -1), self.num_classes, train)


def network(modality: Modality, num_classes: int) -> Network:
    """The judge's network for sounds of a modality, at its sample rate."""
    return Network(num_classes, modality.sample_rate)


def augment(waveforms: np.ndarray, training: Training, rng: np.random.Generator) -> np.ndarray:
    """Sounds `[N, S]`, each with a random stretch, shift and noise level within the limits of `training`."""
    num, length = waveforms.shape
    reach = training.shift * length
    speed = 1 + training.stretch * rng.uniform(-1, 1, num)
    places = (np.arange(length) - rng.uniform(-reach, reach, num)[:, None]) * speed[:, None]
    inside = (places >= 0) & (places <= length - 1)
    low = np.clip(places.astype(np.int64), 0, length - 2)
    part = places - low
    rows = np.arange(num)[:, None]
    moved = np.where(inside, waveforms[rows, low] * (1 - part) + waveforms[rows, low + 1] * part, 0.0)
    level = np.sqrt(np.mean(moved**2, axis=1)) * training.noise * rng.uniform(0, 1, num) ** 2
    return (moved + level[:, None] * rng.normal(size=moved.shape)).astype(np.float32)


def controls(waveforms: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """`{control: [N, S]}` from real sounds `[N, S]` in [-1, 1].

    silence    zeros; no information about the class
    noise      white noise; no information about the class
    backwards  each sound reversed in time
    spectrum   noise with the magnitude spectrum of each whole sound: the order in time is lost
    """
    noise = rng.normal(0, 0.1, waveforms.shape).astype(np.float32)
    magnitude = np.abs(np.fft.rfft(waveforms))
    turned = magnitude * np.exp(2j * np.pi * rng.random(magnitude.shape))
    return {
        "silence": np.zeros_like(waveforms),
        "noise": np.clip(noise, -1, 1),
        "backwards": waveforms[:, ::-1],
        "spectrum": np.clip(np.fft.irfft(turned, waveforms.shape[1]), -1, 1).astype(np.float32),
    }
