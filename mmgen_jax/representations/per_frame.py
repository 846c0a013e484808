"""A clip as its frames, each in the representation `of`, with the same parameters for all frames.

The continuous values of each frame become the channels of a sequence, `[T, H, W, C]` to `[T, h * w * c]`, so that a
family models a clip with networks for sequences. Discrete codes of the frames follow each other in time.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

from mmgen_jax import contracts
from mmgen_jax.config.ranges import Count
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.space import Continuous, Discrete


@dataclasses.dataclass(frozen=True, kw_only=True)
class Representation:
    """The players of `of`, which see each frame as an example.

    Args:
      modality: a clip.
      of: the representation of one frame; `identity` where the config names none.
      frames_per_step: number of frames of each clip that a step trains on, drawn anew in each step; 0: all frames.

    Raises:
      ConfigError: fewer frames than `frames_per_step`. `part_of` refuses a modality without frames.
    """

    modality: Modality
    of: contracts.Representation
    frames_per_step: Count = 0

    def __post_init__(self):
        if not 0 <= self.frames_per_step <= self.num_frames:
            raise ConfigError(
                f"representation 'per_frame': frames_per_step: expected 0 to {self.num_frames}, the number of frames, "
                f"got {self.frames_per_step}"
            )

    @staticmethod
    def part_of(modality: Modality) -> Modality:
        """The modality of one frame, which `of` represents."""
        if len(modality.shape) != 4:
            raise ConfigError(f"representation 'per_frame': needs a clip [T, H, W, C], got shape {modality.shape}")
        return Modality("image", modality.shape[1:])

    @property
    def num_frames(self) -> int:
        return self.modality.shape[0]

    @property
    def space(self) -> Continuous | Discrete:
        space = self.of.space
        if isinstance(space, Discrete):
            return dataclasses.replace(space, length=self.num_frames * space.length)
        return dataclasses.replace(space, shape=(self.num_frames, math.prod(space.shape)))

    @property
    def players(self) -> tuple[str, ...]:
        return self.of.players

    def init(self, rng: jax.Array, target: jax.Array) -> dict[str, Any]:
        return self.of.init(rng, target[:, 0])

    def loss(self, player: str, params, collections, target: jax.Array, weights: jax.Array, rng: jax.Array):
        """The loss of `of`, mean over frames; `weights [B]` are those of the clips."""
        order_rng, rng = jax.random.split(rng)
        if self.frames_per_step:
            chosen = jax.random.choice(order_rng, self.num_frames, (self.frames_per_step,), replace=False)
            target = target[:, chosen]
        weights = jnp.repeat(weights, target.shape[1])
        return self.of.loss(player, params, collections, _folded(target), weights, rng)

    def encode(self, params, collections, target: jax.Array) -> jax.Array:
        """Clips `[B, *modality.shape]` to `[B, *space.shape]`."""
        return self.of.encode(params, collections, _folded(target)).reshape(len(target), *self.space.shape)

    def decode(self, params, collections, code: jax.Array) -> jax.Array:
        """The inverse of `encode`, as far as `of` has one."""
        frames = code.reshape(-1, *self.of.space.shape)
        return self.of.decode(params, collections, frames).reshape(len(code), *self.modality.shape)


def _folded(clips: jax.Array) -> jax.Array:
    """`[B, T, ...]` to `[B * T, ...]`."""
    return clips.reshape(-1, *clips.shape[2:])
