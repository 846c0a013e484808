"""The target's own array, reshaped to the space of its kind: a sound `[S]` gets a channel axis, `[S, 1]`."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax

from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.space import Continuous, Discrete


@dataclasses.dataclass(frozen=True)
class Representation:
    """`encode` and `decode` only reshape."""

    modality: Modality

    players: ClassVar[tuple[str, ...]] = ()

    @property
    def space(self) -> Continuous | Discrete:
        return self.modality.space

    def init(self, rng: jax.Array, target: jax.Array) -> dict:
        return {}

    def loss(self, player: str, params, collections, target, weights, rng):
        raise ConfigError(f"representations/identity: has no player {player!r}; it has nothing to train")

    def encode(self, params, collections, target: jax.Array) -> jax.Array:
        """`[B, *modality.shape]` to `[B, *space.shape]`."""
        return target.reshape(target.shape[0], *self.space.shape)

    def decode(self, params, collections, code: jax.Array) -> jax.Array:
        """The inverse of `encode`."""
        return code.reshape(code.shape[0], *self.modality.shape)
