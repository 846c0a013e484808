"""The log-mel spectrogram of a sound, as a sequence of vectors: the input of a vocoder."""

from __future__ import annotations

import dataclasses

import numpy as np

from mmgen_jax.config.ranges import Count, Real, Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.networks.features import audio
from mmgen_jax.representations import log_mel


@dataclasses.dataclass(frozen=True)
class Transform:
    """A sound `[S]` to the vectors `[T, n_mels]` in [-1, 1] that the representation `log_mel` gives, without JAX.

    Frame t is centred on sample `t hop_length`; the last frames are silent where T is rounded up.

    Args:
      sample_rate: of the sound, in Hz.
      n_fft, hop_length, n_mels, floor, ceiling: those of the representation.

    Raises:
      ConfigError: no sound, or another rate.
    """

    sample_rate: Size
    n_fft: Count = 0
    hop_length: Count = 0
    n_mels: Size = 80
    floor: Real = -80.0
    ceiling: Real = 30.0

    def modality(self, of: Modality) -> Modality:
        if of.sample_rate != self.sample_rate:
            got = f"{of.sample_rate} Hz" if of.sample_rate else f"kind {of.kind!r}"
            raise ConfigError(
                f"transforms/log_mel.sample_rate: expected a sound of {self.sample_rate} Hz, got {got}; derive it from "
                "a sound, and set sample_rate to the sound's"
            )
        return Modality("vector", self._representation(of.shape[0]).space.shape)

    def __call__(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        n_fft, hop_length, n_mels = audio.frame_sizes(self.sample_rate, self.n_fft, self.hop_length, self.n_mels)
        num_frames, _ = self._representation(len(x)).space.shape
        padded = np.zeros(num_frames * hop_length + n_fft, np.float32)
        padded[n_fft // 2 : n_fft // 2 + len(x)] = x
        frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[: num_frames * hop_length : hop_length]
        power = np.abs(np.fft.rfft(frames * np.hanning(n_fft + 1)[:-1])) ** 2
        bands = power @ audio.mel_filters(self.sample_rate, n_fft, n_mels).T
        decibels = 10 * np.log10(np.maximum(bands, audio.AMIN))
        return np.clip(2 * (decibels - self.floor) / (self.ceiling - self.floor) - 1, -1, 1).astype(np.float32)

    def _representation(self, num_samples: int) -> log_mel.Representation:
        fields = dataclasses.asdict(self)
        modality = Modality("audio", (num_samples,), sample_rate=fields.pop("sample_rate"))
        return log_mel.Representation(modality=modality, **fields)
