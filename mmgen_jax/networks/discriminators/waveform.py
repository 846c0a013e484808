"""Several discriminators of a sound in one (HiFi-GAN, Kong et al., 2020): multi-period and multi-scale.

A discriminator of period p sees every p-th sample, from each of the p first samples on; a discriminator of scale s sees
the sound averaged over s samples.

Departs from the paper: no groups in the convolutions, fewer channels by default, no weight or spectral normalisation; 4
layers of a period, 3 of them strided (5 and 4 in the paper), and 5 layers of a scale with kernels of 11 (7, 41); the
logits of all discriminators are one array, so that each of them counts by the number of its logits. The adversarial
loss is the mean of all logits' losses, where the paper sums the means of 8 discriminators: a `mel` of 45 weighs about 8
times as much beside it (16 times with `least_squares`, which has a factor of 1/2 here). A period's last samples that
fill no row are reflected, as in the paper.
"""

from __future__ import annotations

from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.layers import convolution

SLOPE = 0.1
PERIOD_LAYERS = ((5, 3), (5, 3), (5, 3), (5, 1))  # kernel size and stride
SCALE_LAYERS = ((15, 1), (11, 4), (11, 4), (11, 4), (5, 1))


class Discriminator(nn.Module):
    """Logits `[B, *]` of a sound `[B, S, 1]`; the conditions have no influence.

    Each layer's output is a leaf of the collection `features`, for feature matching (`feature_matching` of
    `objectives/adversarial.py`).

    Args:
      width: channels after the first convolution; each further one has twice as many, up to `max_width`.
      periods: of the discriminators of periods.
      scales: of the discriminators of scales.

    Raises:
      ConfigError: no discriminator, the target is no sound, or a sound shorter than the longest period.
    """

    width: Size = 16
    max_width: Size = 128
    periods: tuple[Size, ...] = (2, 3, 5, 7, 11)
    scales: tuple[Size, ...] = (1, 2, 4)
    dtype: jnp.dtype = jnp.float32

    keeps_features: ClassVar[bool] = True

    @nn.compact
    def __call__(self, target: jax.Array, condition: Condition | None, train: bool = False) -> jax.Array:
        del condition, train
        longest = max((*self.periods, *self.scales), default=0)
        if target.ndim != 3 or target.shape[-1] != 1 or not 0 < longest <= target.shape[1]:
            raise ConfigError(
                "discriminators/waveform: expected a sound [S, 1] and at least one period or scale, none longer than "
                f"S, got {list(target.shape[1:])}, periods {self.periods}, scales {self.scales}"
            )
        target = target.astype(self.dtype)
        logits = [self._layers(by_period(target, p), PERIOD_LAYERS, f"period_{p}") for p in self.periods]
        logits += [self._layers(by_scale(target, s), SCALE_LAYERS, f"scale_{s}") for s in self.scales]
        return jnp.concatenate([part.reshape(len(target), -1) for part in logits], axis=-1)

    def _layers(self, x: jax.Array, layers: tuple[tuple[int, int], ...], name: str) -> jax.Array:
        for i, (size, stride) in enumerate(layers):
            width = min(self.max_width, self.width << i)
            x = convolution.Conv(width, size, stride, dtype=self.dtype, name=f"{name}_{i}")(x)
            x = nn.leaky_relu(x, SLOPE)
            if not self.is_initializing():  # else the features would be part of the training state
                self.sow("features", f"after_{name}_{i}", x)
        return convolution.Conv(1, 3, dtype=self.dtype, name=f"{name}_output")(x).astype(jnp.float32)


def by_period(sounds: jax.Array, period: int) -> jax.Array:
    """`[B, S, 1]` to `[B period, ceil(S / period), 1]`: row `b period + i` has the samples i, i + period, …"""
    short = -sounds.shape[1] % period
    sounds = jnp.pad(sounds, ((0, 0), (0, short), (0, 0)), mode="reflect")
    rows = sounds.reshape(len(sounds), -1, period)
    return rows.transpose(0, 2, 1).reshape(len(sounds) * period, -1, 1)


def by_scale(sounds: jax.Array, scale: int) -> jax.Array:
    """`[B, S, 1]` to `[B, S // scale, 1]`: the means of `scale` samples."""
    whole = sounds[:, : sounds.shape[1] // scale * scale]
    return whole.reshape(len(sounds), -1, scale).mean(-1, keepdims=True)
