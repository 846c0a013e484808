"""Convolutional network over the log-mel spectrogram; one token for each frame of the last grid."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.config.ranges import Bands, Count, Size
from mmgen_jax.networks.conditioning.tokens import Tokens
from mmgen_jax.networks.features.audio import log_mel
from mmgen_jax.networks.layers.trunk import Trunk


class Encoder(nn.Module):
    """`[B, S]` to `[B, N, D]`, with N `1 + S // hop_length`, halved (rounded up) by each stage of `channels`.

    `n_fft`, `hop_length` and `n_mels` that are 0 follow from the sample rate (`features.audio.frame_sizes`).
    """

    sample_rate: int
    features: Size = 128
    n_fft: Count = 0
    hop_length: Count = 0
    n_mels: Bands = 0
    channels: tuple[Size, ...] = (32, 64, 128)
    norm: str = "group"
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, array, mask, train: bool = False) -> Tokens:
        decibels = log_mel(array, self.sample_rate, self.n_fft, self.hop_length, self.n_mels)
        spectrogram = scaled(decibels)[..., None].astype(self.dtype)  # [B, T, n_mels, 1]
        trunk = Trunk(self.channels, 0, self.norm, self.dtype, name="trunk")
        grid = trunk(spectrogram, train)
        values = nn.Dense(self.features, dtype=self.dtype)(grid.reshape(*grid.shape[:2], -1))
        positions = self.param("positions", nn.initializers.normal(0.02), values.shape[1:])
        token_mask = jnp.broadcast_to(mask[:, None], values.shape[:2])
        return Tokens(values + positions.astype(values.dtype), token_mask)


def scaled(decibels: jnp.ndarray) -> jnp.ndarray:
    """Decibels, brought to about mean 0 and deviation 1: mel bands of real sounds have -40 ± 20 dB, silence -100 dB."""
    return (decibels + 40) / 20
