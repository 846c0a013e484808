"""A sound as its mel spectrogram in decibels, and back by Griffin-Lim; nothing is learned.

`encode` drops the phase, and what lies between two mel bands. `decode` takes a spectrogram that has these bands
(`features.audio.mel_to_spectrogram`) and looks for the phases that fit it (Griffin and Lim 1984, "Signal estimation
from modified short-time Fourier transform"); with `momentum`, by the fast version of Perraudin, Balazs and Søndergaard
2013. Departs from both in a fixed number of iterations, and in that the first phases are random but those of every
example alike: a code has one sound, whatever batch it is in.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.space import Continuous
from mmgen_jax.networks.features import audio
from mmgen_jax.representations.identity import Representation as Identity

MULTIPLE = 8  # of frames, so that a grid can be halved three times
PHASES = 0  # seed of the first phases


@dataclasses.dataclass(frozen=True, kw_only=True)
class Representation:
    """`[S]` in [-1, 1] to `[T, n_mels]` in [-1, 1]: -1 is `floor` dB and less, 1 is `ceiling` dB and more.

    Decibels are of power in a band of the filters of `features/audio.py`, where a sine of amplitude 1 is at about 35 dB
    and silence at -100 dB; speech with peaks of 0.5 reaches 20 dB.

    Args:
      modality: of the sound.
      of: the identity; a sound's log-mel stands on nothing else.
      n_fft, hop_length: in samples; 0 are windows of 64 ms, a quarter apart (8 kHz: 512 and 128; 16 kHz: 1024 and 256).
      n_mels: bands.
      floor, ceiling: in dB.
      num_iterations: of Griffin-Lim.
      momentum: 0 is Griffin and Lim's, above 0 the fast version's α.
    """

    modality: Modality
    of: Identity | None = None
    n_fft: int = 0
    hop_length: int = 0
    n_mels: int = 80
    floor: float = -80.0
    ceiling: float = 30.0
    num_iterations: int = 32
    momentum: float = 0.99

    players: ClassVar[tuple[str, ...]] = ()
    # The fields that only `decode` reads.
    sampling: ClassVar[tuple[str, ...]] = ("num_iterations", "momentum")

    def __post_init__(self):
        if not self.modality.sample_rate:
            raise ConfigError(f"representation 'log_mel': needs a sound, got kind {self.modality.kind!r}; take it out")
        if self.of is not None and not isinstance(self.of, Identity):
            raise ConfigError("representation 'log_mel': stands on the sound itself; take `of` out")
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

    @property
    def _sizes(self) -> audio.FrameSizes:
        return audio.frame_sizes(self.modality.sample_rate, self.n_fft, self.hop_length, self.n_mels)

    @property
    def space(self) -> Continuous:
        num_frames = 1 + self.modality.shape[0] // self._sizes.hop_length
        return Continuous((-(-num_frames // MULTIPLE) * MULTIPLE, self.n_mels))

    @property
    def _padded_length(self) -> int:
        """Samples whose frames are those of `space`."""
        return max(self.modality.shape[0], (self.space.shape[0] - 1) * self._sizes.hop_length)

    def init(self, rng: jax.Array, target: jax.Array) -> dict:
        return {}

    def loss(self, player: str, params, collections, target, weights, rng):
        raise ConfigError(f"representations/log_mel: has no player {player!r}; it has nothing to train")

    def encode(self, params, collections, target: jax.Array) -> jax.Array:
        """`[B, S]` to `[B, T, n_mels]`; silence follows the sound where its frames are fewer than T."""
        target = target.reshape(target.shape[0], -1)
        padded = jnp.pad(target, ((0, 0), (0, self._padded_length - target.shape[1])))
        n_fft, hop_length, n_mels = self._sizes
        rate = self.modality.sample_rate
        decibels = audio.log_mel(padded, rate, n_fft, hop_length, n_mels, top_db=None)
        return jnp.clip(2.0 * (decibels - self.floor) / (self.ceiling - self.floor) - 1.0, -1.0, 1.0)

    def decode(self, params, collections, code: jax.Array) -> jax.Array:
        """`[B, T, n_mels]`, cut off at -1 and 1, to `[B, S]` in [-1, 1]; not meant for gradients."""
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
