"""Waveforms from frames by their short-time spectrum (Vocos, Siuzdak, 2024): no network ever sees a single sample.

ConvNeXt blocks (Liu et al., 2022) work at the frames' rate; the last layer gives magnitude and phase of every
frequency, and the inverse transform adds up the frames. The cost of a second of sound is that of its 62 frames, not of
its 16,000 samples.

Departs from the paper: the latent and the pooled conditions, if any, scale and shift every block.
"""

from __future__ import annotations

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Depth, Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.features import audio
from mmgen_jax.networks.generators.translation import vector_of
from mmgen_jax.networks.layers import blocks, convolution

MAX_LOG_MAGNITUDE = 7.0  # the paper's limit is 100, about e ** 4.6, of other windows
KERNEL = 7


class Generator(nn.Module):
    """`latent [B, Z]` or None, and aligned sources `[B, T, C]`, to `[B, S, 1]`; use `objective.output="linear"`.

    Args:
      shape: `(S, 1)`.
      hop_length: samples from frame to frame; frame t is centred on sample `t hop_length`.
      n_fft: window in samples, even; None: four times `hop_length`.
      features, num_blocks: length of the frames' vectors, and number of blocks.

    Raises:
      ConfigError: there are no aligned sources, they have fewer frames than S samples need, the target is no sound, or
        an odd `n_fft`.
    """

    form: ClassVar[str] = "latent"

    shape: tuple[int, ...]
    hop_length: Size = 256
    n_fft: Size | None = None
    features: Size = 256
    num_blocks: Depth = 6
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, latent: jax.Array | None, condition: Condition | None, train: bool = False) -> jax.Array:
        length, window = self.shape[0], self.n_fft or 4 * self.hop_length
        if window % 2:
            raise ConfigError(f"generators/vocos.n_fft: expected an even number of samples, got {window}")
        x = self._frames(condition).astype(self.dtype)
        vector = vector_of(latent, condition)
        x = convolution.Conv(self.features, KERNEL, dtype=self.dtype, name="input")(x)
        x = nn.LayerNorm(dtype=self.dtype)(x)
        for i in range(self.num_blocks):
            x = Block(self.dtype, self.num_blocks, name=f"block_{i}")(x, vector)
        x = nn.LayerNorm(dtype=self.dtype)(x)
        bins = window // 2 + 1
        x = nn.Dense(2 * bins, dtype=self.dtype, name="output")(x).astype(jnp.float32)
        magnitude = jnp.exp(jnp.minimum(x[..., :bins], MAX_LOG_MAGNITUDE))
        spectrum = jax.lax.complex(magnitude * jnp.cos(x[..., bins:]), magnitude * jnp.sin(x[..., bins:]))
        return audio.istft(spectrum, self.hop_length, length)[..., None]

    def _frames(self, condition: Condition | None) -> jax.Array:
        """All sources, side by side."""
        sources = sorted(condition.aligned.items()) if condition is not None else []
        needed = -(-self.shape[0] // self.hop_length)
        shapes = {name: list(source.shape[1:]) for name, source in sources}
        if len(self.shape) != 2 or self.shape[1] != 1 or not sources or any(s[0] < needed for s in shapes.values()):
            raise ConfigError(
                f"generators/vocos: draws a sound [S, 1] from aligned frames [T, C], at least {needed} for a target "
                f"{list(self.shape)} and hop_length {self.hop_length}; got {shapes or 'none'}; name a log_mel of "
                "config.derived in config.aligned"
            )
        count = min(shape[0] for shape in shapes.values())
        return jnp.concatenate([source[:, :count] for _, source in sources], axis=-1)


class Block(nn.Module):
    """A residual ConvNeXt block of frames `[B, T, C]`: each channel over time, then all channels of each frame."""

    dtype: jnp.dtype
    num_blocks: int

    @nn.compact
    def __call__(self, x: jax.Array, vector: jax.Array | None) -> jax.Array:
        features = x.shape[-1]
        kernel = self.param("kernel", nn.initializers.normal(KERNEL**-0.5), (KERNEL, features)).astype(self.dtype)
        half = KERNEL // 2
        padded = jnp.pad(x, ((0, 0), (half, half), (0, 0)))
        # A sum of shifts: XLA's CPU backend has no fast gradient of a convolution by channel.
        h = sum(kernel[i] * padded[:, i : i + x.shape[1]] for i in range(KERNEL))
        h = nn.LayerNorm(dtype=self.dtype)(h)
        if vector is not None:
            h = blocks.film(h, *jnp.split(nn.Dense(2 * features, dtype=self.dtype)(vector), 2, axis=-1))
        h = nn.Dense(features, dtype=self.dtype)(nn.gelu(nn.Dense(3 * features, dtype=self.dtype)(h)))
        scale = self.param("scale", nn.initializers.constant(1 / self.num_blocks), (features,)).astype(self.dtype)
        return x + scale * h
