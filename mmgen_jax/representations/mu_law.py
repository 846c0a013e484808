"""A sound as a sequence of codes, one a sample: the companding of ITU-T G.711 with μ = 255; nothing is learned.

`F(x) = sgn(x) ln(1 + 255 |x|) / ln 256`, whose values in [-1, 1] are rounded to the nearest of 256 evenly spaced levels
(van den Oord et al., 2016, WaveNet). Departs from G.711, which puts 16 straight pieces in place of F and has codes for
+0 and -0: here no level is 0. The code of silence (0.0) is 128, which is decoded as 8.6e-5, thus -81 dB.
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
    """`[S]` in [-1, 1] to `[S] int32` in [0, 256); a value beyond is cut off.

    Args:
      modality: of the sound.
      of: the identity; codes of samples stand on nothing else.
    """

    modality: Modality
    of: Identity | None = None

    players: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self):
        if not self.modality.sample_rate:
            raise ConfigError(f"representation 'mu_law': needs a sound, got kind {self.modality.kind!r}; take it out")
        if self.of is not None and not isinstance(self.of, Identity):
            raise ConfigError("representation 'mu_law': stands on the sound itself; take `of` out")

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
        """`[B, S]` ids to `[B, S]` in [-1, 1]: the middle of each code's values."""
        compressed = 2.0 * code.astype(jnp.float32) / MU - 1.0
        expanded = jnp.sign(compressed) * jnp.expm1(jnp.abs(compressed) * math.log1p(MU)) / MU
        return jnp.clip(expanded, -1.0, 1.0)  # rounding goes beyond
