"""The log-mel spectrogram of a sound, inverted by Griffin-Lim or by another run's vocoder; nothing is learned.

`encode` loses the phase, and the detail within mel bands. `decode` finds a power spectrogram with the given mel bands
(`features.audio.mel_to_spectrogram`), then phases that fit the spectrogram (Griffin and Lim 1984, "Signal estimation
from modified short-time Fourier transform"; with `momentum` above 0, the fast version of Perraudin, Balazs and
Søndergaard 2013).

Departs from both papers: the number of iterations is fixed; the initial phases are random, but the same for every
example, so that the sound of a code does not depend on the batch.

With `vocoder`, `decode` is that run's vocoder (`runs/vocoder.py`) in place of the inverted mel filterbank and
Griffin-Lim.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Count, Rate, Real, Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.space import Continuous
from mmgen_jax.networks.features import audio
from mmgen_jax.representations.identity import Representation as Identity

MULTIPLE = 8  # the number of frames is a multiple of this, so that a grid can be halved three times
PHASES = 0  # seed of the initial phases


@dataclasses.dataclass(frozen=True, kw_only=True)
class Representation:
    """`[S]` in [-1, 1] to `[T, n_mels]` in [-1, 1]: -1 stands for `floor` dB or less, 1 for `ceiling` dB or more.

    The decibels are those of the power in each mel band (`features/audio.py`): a sine of amplitude 1 has about 35 dB,
    silence -100 dB, and speech with peaks of 0.5 reaches 20 dB.

    Args:
      modality: the modality of the sound.
      of: None or the identity; `log_mel` reads the waveform itself.
      n_fft, hop_length: window and hop in samples; 0 is a window of about 64 ms and a quarter of the window (8 kHz: 512
        and 128; 16 kHz: 1024 and 256).
      n_mels: number of mel bands.
      floor, ceiling: range in dB.
      num_iterations: iterations of Griffin-Lim.
      momentum: α of the fast Griffin-Lim algorithm, in [0, 1); 0 is the algorithm of 1984.
      vocoder: workdir of a run of a vocoder that reads the same spectrograms; "": Griffin-Lim.

    Raises:
      ConfigError: the modality is no sound, `of` is another representation, a field is out of range, or `vocoder` is no
        vocoder of these spectrograms.
      InputError: a mel band without a frequency bin.
    """

    modality: Modality
    of: Identity | None = None
    n_fft: Count = 0
    hop_length: Count = 0
    n_mels: Size = 80
    floor: Real = -80.0
    ceiling: Real = 30.0
    num_iterations: Count = 32
    momentum: Rate = 0.99
    vocoder: str = ""

    players: ClassVar[tuple[str, ...]] = ()
    # The fields that only `decode` reads.
    sampling: ClassVar[tuple[str, ...]] = ("num_iterations", "momentum", "vocoder")

    def __post_init__(self):
        if not self.modality.sample_rate:
            raise ConfigError(f"representation 'log_mel': needs a sound, got kind {self.modality.kind!r}; take it out")
        if self.of is not None and not isinstance(self.of, Identity):
            raise ConfigError("representation 'log_mel': reads the waveform itself; take `of` out")
        if self.num_iterations < 1 or not 0 <= self.momentum < 1:
            raise ConfigError(
                "representation 'log_mel': expected num_iterations of at least 1 and momentum in [0, 1), got "
                f"{self.num_iterations} and {self.momentum}"
            )
        if not audio.DB_MIN <= self.floor < self.ceiling:
            raise ConfigError(
                f"representation 'log_mel': expected {audio.DB_MIN:g} <= floor < ceiling in dB, got {self.floor:g} and "
                f"{self.ceiling:g}"
            )
        audio.mel_filters(
            self.modality.sample_rate, self._sizes.n_fft, self.n_mels
        )  # refuses a band without a frequency
        if self.vocoder:
            _ = self._mel

    @property
    def _sizes(self) -> audio.FrameSizes:
        return audio.frame_sizes(self.modality.sample_rate, self.n_fft, self.hop_length, self.n_mels)

    @property
    def space(self) -> Continuous:
        num_frames = 1 + self.modality.shape[0] // self._sizes.hop_length
        return Continuous((-(-num_frames // MULTIPLE) * MULTIPLE, self.n_mels))

    @functools.cached_property
    def _mel(self) -> str:
        """The modality that the vocoder reads."""
        from mmgen_jax.runs import vocoder  # a run is made of representations

        scale = {"floor": self.floor, "ceiling": self.ceiling}
        wanted = {"sample_rate": self.modality.sample_rate} | self._sizes._asdict() | scale
        return vocoder.check(self.vocoder, wanted)

    @functools.cached_property
    def _vocoder(self) -> Any:
        from mmgen_jax.runs import vocoder

        return vocoder.load(self.vocoder, self._mel, self.modality, self.space.shape)

    @property
    def _padded_length(self) -> int:
        """The number of samples that gives the number of frames of `space`."""
        return max(self.modality.shape[0], (self.space.shape[0] - 1) * self._sizes.hop_length)

    def init(self, rng: jax.Array, target: jax.Array) -> dict:
        return {}

    def loss(self, player: str, params, collections, target, weights, rng):
        raise ConfigError(f"representations/log_mel: has no player {player!r}; it has nothing to train")

    def encode(self, params, collections, target: jax.Array) -> jax.Array:
        """`[B, S]` to `[B, T, n_mels]`; silence is appended where the sound has fewer frames than T."""
        target = target.reshape(target.shape[0], -1)
        padded = jnp.pad(target, ((0, 0), (0, self._padded_length - target.shape[1])))
        n_fft, hop_length, n_mels = self._sizes
        rate = self.modality.sample_rate
        decibels = audio.log_mel(padded, rate, n_fft, hop_length, n_mels, top_db=None)
        return jnp.clip(2.0 * (decibels - self.floor) / (self.ceiling - self.floor) - 1.0, -1.0, 1.0)

    def decode(self, params, collections, code: jax.Array) -> jax.Array:
        """`[B, T, n_mels]`, clipped to [-1, 1], to a waveform `[B, S]` in [-1, 1]; not meant for gradients."""
        if self.vocoder:
            return self._vocoder(jnp.clip(code.astype(jnp.float32), -1.0, 1.0))
        half = (self.ceiling - self.floor) / 2.0
        decibels = (jnp.clip(code.astype(jnp.float32), -1.0, 1.0) + 1.0) * half + self.floor

        def invert(one):
            return audio.invert_log_mel(
                one,
                jax.random.key(PHASES),
                self.modality.sample_rate,
                self._padded_length,
                self._sizes.n_fft,
                self._sizes.hop_length,
                n_iter=self.num_iterations,
                momentum=self.momentum,
            )

        return jax.vmap(invert)(decibels)[:, : self.modality.shape[0]]
