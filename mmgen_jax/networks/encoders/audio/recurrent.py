"""Bidirectional LSTM or GRU over the frames of the log-mel spectrogram; one token per frame."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from mmgen_jax.config.ranges import Bands, Count, Depth, Size
from mmgen_jax.networks.conditioning.tokens import Tokens
from mmgen_jax.networks.encoders.audio.log_mel_cnn import scaled
from mmgen_jax.networks.features.audio import log_mel
from mmgen_jax.networks.layers.recurrent import Recurrent


class Encoder(nn.Module):
    """`[B, S]` to `[B, 1 + S // hop_length, D]`; `cell` is `lstm` or `gru`.

    `n_fft`, `hop_length` and `n_mels` that are 0 follow from the sample rate (`features.audio.frame_sizes`).
    """

    sample_rate: int
    features: Size = 128
    n_fft: Count = 0
    hop_length: Count = 0
    n_mels: Bands = 0
    cell: str = "lstm"
    num_layers: Depth = 1
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, array, mask, train: bool = False) -> Tokens:
        decibels = log_mel(array, self.sample_rate, self.n_fft, self.hop_length, self.n_mels)
        frames = nn.Dense(self.features, dtype=self.dtype)(scaled(decibels))
        values = Recurrent(self.features, self.cell, self.num_layers, self.dtype)(frames)
        return Tokens(values, jnp.broadcast_to(mask[:, None], values.shape[:2]))
