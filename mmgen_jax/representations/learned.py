"""What learned representations share: a player of their own, which encodes the grid of the representation below."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax import contracts
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.space import Continuous
from mmgen_jax.objectives.parts.apply import apply
from mmgen_jax.objectives.parts.masks import to_range


@dataclasses.dataclass(frozen=True, kw_only=True)
class Learned:
    """The player `own_player` must have been trained, and stand still, when another player reads its codes.

    It has no `ema_decay`: codes of averaged parameters are other codes.

    Args:
      encoder: of the grid to tokens `[B, N, D]`; decoder: of tokens back to the grid.
      of: the representation whose values on a grid are encoded.

    Raises:
      ConfigError: `of` gives no values on a grid, or has a player of the same name.
    """

    encoder: nn.Module
    decoder: nn.Module
    of: contracts.Representation

    own_player: ClassVar[str]

    def __post_init__(self):
        space, name = self.of.space, type(self).__module__.rpartition(".")[2]
        if not isinstance(space, Continuous) or space.rank == 0:
            raise ConfigError(
                f"representation {name!r}: needs values on a grid (an image, a clip, a sound's log_mel), got {space}"
            )
        if self.own_player in self.of.players:
            raise ConfigError(f"representation {name!r}: stands on another one with the player {self.own_player!r}")

    @property
    def grid(self) -> Continuous:
        """The space of `of`."""
        assert isinstance(self.of.space, Continuous)
        return self.of.space

    @property
    def players(self) -> tuple[str, ...]:
        return (*self.of.players, self.own_player)

    @property
    def network(self) -> Any:
        """A module with the methods `encode` and `decode`."""
        raise NotImplementedError

    def encode(self, params, collections, target: jax.Array) -> jax.Array:
        """`[B, *space.shape]`."""
        grid = self.of.encode(params, collections, target)
        return apply(self.network, self.own_player, params, collections, grid, method="encode")

    def decode(self, params, collections, code: jax.Array) -> jax.Array:
        """The inverse of `encode`, up to what the code loses."""
        grid = apply(self.network, self.own_player, params, collections, code, method="decode")
        return self.of.decode(params, collections, self.in_range(grid))

    def in_range(self, output: jax.Array) -> jax.Array:
        """The decoder's output in the range of the grid."""
        return to_range(output) if self.grid.bounded else output

    def zeros(self, num: int) -> jax.Array:
        """`[num, *grid]`, for initialisation."""
        return jnp.zeros((num, *self.grid.shape))
