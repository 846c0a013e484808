"""An invertible network of sounds: affine couplings and invertible 1×1 convolutions (WaveGlow, Prenger et al., 2019).

`group` successive samples are the channels of one place. Each step mixes the channels by a matrix. Then a network of
dilated convolutions reads one half of the channels, and the frames of the aligned sources, and transforms the other
half affinely.

Departs from the paper: no channels leave early; the logarithm of a scale is bounded by `MAX_LOG_SCALE`, so that the
inverse stays exact; the aligned sources are interpolated linearly; the pooled conditions, if any, act on every place.
"""

from __future__ import annotations

from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import Count, Depth, Size
from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.tokens import Condition, pooled_of
from mmgen_jax.networks.layers import convolution
from mmgen_jax.networks.layers.frames import interpolated

MAX_LOG_SCALE = 3.0


class Coupling(nn.Module):
    """`(log scale, shift)` `[B, P, C / 2]` of one half, from the other half and the conditions."""

    features: int
    num_layers: int
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, seen: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        num_channels = x.shape[-1]
        x = nn.Dense(self.features, dtype=self.dtype)(x.astype(self.dtype))
        skips = 0.0
        for i in range(self.num_layers):
            reach = 2**i
            padded = jnp.pad(x, ((0, 0), (reach, reach), (0, 0)))
            taps = [padded[:, k * reach : k * reach + x.shape[1]] for k in range(3)]
            gates = nn.Dense(2 * self.features, dtype=self.dtype)(jnp.concatenate(taps, axis=-1))
            if seen is not None:
                gates += nn.Dense(2 * self.features, use_bias=False, dtype=self.dtype)(seen)
            filtered, gate = jnp.split(gates, 2, axis=-1)
            output = nn.Dense(2 * self.features, dtype=self.dtype)(nn.tanh(filtered) * nn.sigmoid(gate))
            x, skips = x + output[..., : self.features], skips + output[..., self.features :]
        # Zeros at first, so that a new coupling changes nothing.
        last = nn.Dense(2 * num_channels, kernel_init=nn.initializers.zeros)(jnp.asarray(skips, jnp.float32))
        log_scale, shift = jnp.split(last, 2, axis=-1)
        return MAX_LOG_SCALE * jnp.tanh(log_scale / MAX_LOG_SCALE), shift


class Generator(nn.Module):
    """`x [B, S, 1]` to `(z [B, S, 1], log |det dz/dx| [B])`, float32, and back; see `generators/__init__.py`.

    Args:
      shape: `(S, 1)`.
      hop_length: samples from one frame of the aligned sources to the next; frame t lies at sample `t hop_length`.
      group: samples of a place, even; it divides S and `hop_length`.
      num_flows: steps.
      features, num_layers: of each coupling's network.

    Raises:
      ConfigError: an odd `group`, or a `group` that does not divide S or `hop_length`; a target that is no sound; or
        aligned sources of other ranks or of different lengths.
    """

    form: ClassVar[str] = "invertible"

    shape: tuple[int, ...]
    hop_length: Count = 0
    group: Size = 8
    num_flows: Depth = 6
    features: Size = 32
    num_layers: Depth = 4
    dtype: Any = jnp.float32

    def setup(self):
        if len(self.shape) != 2 or self.shape[1] != 1 or self.group % 2 or self.shape[0] % self.group:
            raise ConfigError(
                f"generators/waveglow.group: expected an even divisor of the samples of a sound [S, 1], got "
                f"{self.group} for a target {list(self.shape)}"
            )
        rotation, size = nn.initializers.orthogonal(), (self.group, self.group)
        self.mixings = [self.param(f"mixing_{i}", rotation, size) for i in range(self.num_flows)]
        self.couplings = [Coupling(self.features, self.num_layers, self.dtype) for _ in range(self.num_flows)]
        self.frames = convolution.Conv(self.features, 3, dtype=self.dtype)
        self.whole = nn.Dense(self.features, dtype=self.dtype)

    def __call__(self, x: jax.Array, condition: Condition | None, train: bool = False) -> tuple[jax.Array, jax.Array]:
        x, seen = self._grouped(x), self._conditions(condition)
        log_det = jnp.zeros(len(x))
        for mixing, coupling in zip(self.mixings, self.couplings):
            x = jnp.matmul(x, mixing, precision="highest")
            log_det += x.shape[1] * jnp.linalg.slogdet(mixing)[1]  # of |det|, at every place
            kept, changed = jnp.split(x, 2, axis=-1)
            log_scale, shift = coupling(kept, seen)
            x = jnp.concatenate([kept, changed * jnp.exp(log_scale) + shift], axis=-1)
            log_det += jnp.sum(log_scale, axis=(1, 2))
        return x.reshape(len(x), *self.shape), log_det

    def inverse(self, z: jax.Array, condition: Condition | None) -> jax.Array:
        x, seen = self._grouped(z), self._conditions(condition)
        for mixing, coupling in reversed(list(zip(self.mixings, self.couplings))):
            kept, changed = jnp.split(x, 2, axis=-1)
            log_scale, shift = coupling(kept, seen)
            x = jnp.concatenate([kept, (changed - shift) * jnp.exp(-log_scale)], axis=-1)
            x = jnp.matmul(x, jnp.linalg.inv(mixing), precision="highest")
        return x.reshape(len(x), *self.shape)

    def _grouped(self, x: jax.Array) -> jax.Array:
        return x.astype(jnp.float32).reshape(len(x), -1, self.group)

    def _conditions(self, condition: Condition | None) -> jax.Array | None:
        """`[B, S / group, features]`, or `[B, 1, features]` of pooled conditions alone; None without conditions."""
        vector = pooled_of(condition)
        seen = None if vector is None else self.whole(vector)[:, None]
        if condition is None or not condition.aligned:
            return seen
        sources = [source for _, source in sorted(condition.aligned.items())]
        lengths = {source.shape[1] if source.ndim == 3 else 0 for source in sources}
        if not self.hop_length or self.hop_length % self.group or len(lengths) > 1 or lengths == {0}:
            raise ConfigError(
                "generators/waveglow: expected aligned sources [T, C] of one length and a hop_length that group "
                f"{self.group} divides, got {[list(source.shape[1:]) for source in sources]} and {self.hop_length}"
            )
        frames = nn.relu(self.frames(jnp.concatenate(sources, axis=-1).astype(self.dtype)))
        placed = interpolated(frames, self.hop_length // self.group, self.shape[0] // self.group)
        return placed if seen is None else placed + seen
