"""The error of a sound's mel spectrogram, for objectives that draw waveforms."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from mmgen_jax.networks.features import audio

QUIETEST = 1e-10  # power that counts as silence: amplitude 1e-5, as in HiFi-GAN


def mel_error(sounds: jax.Array, true: jax.Array, sample_rate: int, n_mels: int = 80) -> jax.Array:
    """`[B]`: mean absolute difference of the natural logarithm of the amplitude in mel bands, of sounds `[B, S]`."""

    def levels(waveform):
        power = audio.mel_spectrogram(waveform, sample_rate, n_mels=n_mels)
        return 0.5 * jnp.log(jnp.maximum(power, QUIETEST))

    return jnp.mean(jnp.abs(levels(sounds) - levels(true)), axis=(1, 2))
