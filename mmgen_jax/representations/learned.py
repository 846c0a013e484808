"""The base of learned representations: a player that encodes the grid of another representation, `of`."""

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
    """A representation with the player `own_player`.

    The training of this player must end before another player reads its codes. The player has no `ema_decay`, because
    averaged parameters would give other codes.

    Args:
      encoder: from the grid to tokens `[B, N, D]`.
      decoder: from the tokens or codes back to the grid.
      of: the representation whose continuous values on a grid are encoded, e.g. the identity or `log_mel`.
      output: how the decoder's output gets the range of a bounded grid. `tanh`; or `clip`, where the loss sees the
        linear output and `decode` clips it. A tanh saturates where nearly all of a grid is at one end of the range, as
        in a clip with a black background: the decoder then draws the background alone, and hardly gets a gradient.

    Raises:
      ConfigError: the space of `of` is no continuous grid, `of` has a player of the same name, or an unknown `output`.
    """

    encoder: nn.Module
    decoder: nn.Module
    of: contracts.Representation
    output: str = "tanh"

    own_player: ClassVar[str]

    def __post_init__(self):
        space, name = self.of.space, type(self).__module__.rpartition(".")[2]
        if not isinstance(space, Continuous) or space.rank == 0:
            raise ConfigError(
                f"representation {name!r}: needs values on a grid (an image, a clip, a sound's log_mel), got {space}"
            )
        if self.own_player in self.of.players:
            raise ConfigError(f"representation {name!r}: `of` has the same player {self.own_player!r}; change `of`")
        if self.output not in ("tanh", "clip"):
            raise ConfigError(f"representation {name!r}: output: expected tanh or clip, got {self.output!r}")

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
        """The target `[B, *modality.shape]` as codes or latents `[B, *space.shape]`."""
        grid = self.of.encode(params, collections, target)
        return apply(self.network, self.own_player, params, collections, grid, method="encode")

    def decode(self, params, collections, code: jax.Array) -> jax.Array:
        """The approximate inverse of `encode`."""
        grid = apply(self.network, self.own_player, params, collections, code, method="decode")
        if self.grid.bounded and self.output == "clip":
            grid = jnp.clip(grid.astype(jnp.float32), -1, 1)
        return self.of.decode(params, collections, self.in_range(grid))

    def in_range(self, output: jax.Array) -> jax.Array:
        """The decoder's output as the loss sees it: its tanh where the grid is bounded and `output` is `tanh`."""
        return to_range(output) if self.grid.bounded and self.output == "tanh" else output

    def zeros(self, num: int) -> jax.Array:
        """Zeros `[num, *grid.shape]`, the input at initialisation."""
        return jnp.zeros((num, *self.grid.shape))
