"""Convolutions that reduce the log-mel spectrogram's rate, then a bidirectional LSTM or GRU: a recogniser's encoder.

As Deep Speech 2 (Amodei et al., 2016), with the time and frequency masks of SpecAugment (Park et al., 2019).

Departs from the papers: the convolutions are those of all encoders here (`layers/trunk.py`: group normalisation, SiLU);
SpecAugment does not warp time, and masked values become the mean of the spectrogram.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Bands, Count, Depth, Rate, Size
from mmgen_jax.networks.conditioning.tokens import Tokens
from mmgen_jax.networks.encoders.audio.log_mel_cnn import scaled
from mmgen_jax.networks.features.audio import log_mel
from mmgen_jax.networks.layers.randomness import example_keys
from mmgen_jax.networks.layers.recurrent import Recurrent
from mmgen_jax.networks.layers.trunk import Trunk


class Encoder(nn.Module):
    """`[B, S]` to `[B, N, D]`, with N `1 + S // hop_length`, halved (rounded up) by each stage of `channels`.

    Args:
      n_fft, hop_length, n_mels: 0 follows from the sample rate (`features.audio.frame_sizes`).
      channels: of each stage of the convolutions.
      cell: `lstm` or `gru`.
      dropout: between the layers.
      masked_frames, masked_bands: in training, two spans of up to this many frames, and of mel bands, are masked.
    """

    sample_rate: int
    features: Size = 128
    n_fft: Count = 0
    hop_length: Count = 0
    n_mels: Bands = 0
    channels: tuple[Size, ...] = (32, 64)
    norm: str = "group"
    cell: str = "lstm"
    num_layers: Depth = 1
    dropout: Rate = 0.0
    masked_frames: Count = 0
    masked_bands: Count = 0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, array, mask, train: bool = False) -> Tokens:
        decibels = log_mel(array, self.sample_rate, self.n_fft, self.hop_length, self.n_mels)
        spectrogram = scaled(decibels)
        if train and (self.masked_frames or self.masked_bands):
            keys = example_keys(self.make_rng("dropout"), len(array))
            spectrogram = jax.vmap(spec_augment, (0, 0, None, None))(
                keys, spectrogram, self.masked_frames, self.masked_bands
            )
        trunk = Trunk(self.channels, 0, self.norm, self.dtype, name="trunk")
        grid = trunk(spectrogram[..., None].astype(self.dtype), train)
        drop = nn.Dropout(self.dropout, deterministic=not train)
        frames = drop(nn.Dense(self.features, dtype=self.dtype)(grid.reshape(*grid.shape[:2], -1)))
        for _ in range(self.num_layers):
            frames = drop(Recurrent(self.features, self.cell, 1, self.dtype)(frames))
        return Tokens(frames, jnp.broadcast_to(mask[:, None], frames.shape[:2]))


def spec_augment(key: jax.Array, spectrogram: jax.Array, num_frames: int, num_bands: int) -> jax.Array:
    """A spectrogram `[T, F]` with two masked spans of up to `num_frames` frames and two of up to `num_bands` bands."""
    mean = spectrogram.mean()
    for axis, largest in enumerate((num_frames, num_bands)):
        places = jnp.arange(spectrogram.shape[axis])
        for span in range(2):
            draws = jax.random.uniform(jax.random.fold_in(key, 2 * axis + span), (2,))
            width = jnp.floor(draws[0] * (largest + 1))
            start = draws[1] * (spectrogram.shape[axis] - width)
            hidden = (places >= start) & (places < start + width)
            spectrogram = jnp.where(jnp.expand_dims(hidden, 1 - axis), mean, spectrogram)
    return spectrogram
