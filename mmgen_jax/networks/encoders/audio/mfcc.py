"""Cepstral coefficients (MFCC) with first and second deltas (Furui 1986), through an MLP; one token per frame."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from mmgen_jax.config.ranges import Bands, Count, Size
from mmgen_jax.networks.conditioning.tokens import Tokens
from mmgen_jax.networks.features.audio import deltas, frame_sizes, mfcc
from mmgen_jax.networks.layers.blocks import MLP


class Encoder(nn.Module):
    """`[B, S]` to `[B, 1 + S // hop_length, D]`; `delta_width` is odd and at most the number of frames.

    `n_fft`, `hop_length` and `n_mels` that are 0 follow from the sample rate (`features.audio.frame_sizes`).
    """

    sample_rate: int
    features: Size = 128
    n_mfcc: Size = 13
    n_fft: Count = 0
    hop_length: Count = 0
    n_mels: Bands = 0
    delta_width: Size = 9
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, array, mask, train: bool = False) -> Tokens:
        options = frame_sizes(self.sample_rate, self.n_fft, self.hop_length, self.n_mels)._asdict()
        frames = standardised(array, self.sample_rate, self.n_mfcc, self.delta_width, **options)
        values = MLP(2 * self.features, self.features, dtype=self.dtype)(frames)
        return Tokens(values, jnp.broadcast_to(mask[:, None], values.shape[:2]))


def standardised(waveform, sample_rate: int, n_mfcc: int, delta_width: int, n_mels: int, **options) -> jnp.ndarray:
    """Coefficients, first and second deltas `[B, T, 3 · n_mfcc]`, scaled by constants to a deviation of about 1."""
    cepstra = mfcc(waveform, sample_rate, n_mfcc, n_mels=n_mels, **options)
    # Coefficient 0 is √n_mels times the mean level in dB, about -40 ± 20 in real sounds.
    offset, scale = np.zeros(n_mfcc, np.float32), np.full(n_mfcc, 20, np.float32)
    offset[0], scale[0] = -40 * np.sqrt(n_mels), 20 * np.sqrt(n_mels)
    first = 10 * deltas(cepstra, delta_width) / scale
    second = 20 * deltas(cepstra, delta_width, order=2) / scale
    return jnp.concatenate([(cepstra - offset) / scale, first, second], axis=-1)
