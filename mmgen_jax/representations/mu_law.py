"""A sound as a sequence of codes, one per sample, by mu-law companding (ITU-T G.711, μ = 255); nothing is learned.

`F(x) = sgn(x) ln(1 + 255 |x|) / ln 256` is rounded to the nearest of 256 evenly spaced levels in [-1, 1] (van den Oord
et al., 2016, WaveNet).

Departs from G.711, which approximates F by 16 line segments and has codes for +0 and -0: here no level is 0. Silence
(0.0) has the code 128, which decodes to 8.6e-5 (-81 dB).
"""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import jax
import jax.numpy as jnp

from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.space import Discrete
from mmgen_jax.representations.identity import Representation as Identity

MU = 255
SILENCE = 128  # the code of 0.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Representation:
    """`[S]` in [-1, 1] to `[S] int32` in [0, 256); samples out of range are clipped.

    Args:
      modality: the modality of the sound.
      of: None or the identity; `mu_law` reads the waveform itself.

    Raises:
      ConfigError: the modality is no sound, or `of` is another representation.
    """

    modality: Modality
    of: Identity | None = None

    players: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self):
        if not self.modality.sample_rate:
            raise ConfigError(f"representation 'mu_law': needs a sound, got kind {self.modality.kind!r}; take it out")
        if self.of is not None and not isinstance(self.of, Identity):
            raise ConfigError("representation 'mu_law': reads the waveform itself; take `of` out")

    @property
    def space(self) -> Discrete:
        return Discrete(self.modality.shape[0], MU + 1)

    def init(self, rng: jax.Array, target: jax.Array) -> dict:
        return {}

    def loss(self, player: str, params, collections, target, weights, rng):
        raise ConfigError(f"representations/mu_law: has no player {player!r}; it has nothing to train")

    def encode(self, params, collections, target: jax.Array) -> jax.Array:
        """`[B, S]` to `[B, S] int32`."""
        target = jnp.clip(target.reshape(target.shape[0], -1), -1.0, 1.0)
        compressed = jnp.sign(target) * jnp.log1p(MU * jnp.abs(target)) / math.log1p(MU)
        return jnp.floor((compressed + 1.0) / 2.0 * MU + 0.5).astype(jnp.int32)

    def decode(self, params, collections, code: jax.Array) -> jax.Array:
        """Codes `[B, S]` to samples `[B, S]` in [-1, 1], the level of each code."""
        compressed = 2.0 * code.astype(jnp.float32) / MU - 1.0
        expanded = jnp.sign(compressed) * jnp.expm1(jnp.abs(compressed) * math.log1p(MU)) / MU
        return jnp.clip(expanded, -1.0, 1.0)  # float32 rounding may leave the range
