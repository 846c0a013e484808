"""What every family of objectives declares, with the defaults of a family that draws one target.

A family's file defines `class Objective(Family)`; `contracts.Objective` has its methods with their shapes.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, NoReturn

import jax

from mmgen_jax import lookup
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Batch, Modality
from mmgen_jax.modalities.space import Continuous, Discrete
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.objectives.parts.masks import example_weights, zero_masked


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
    """Declarations, and the fields that the surroundings fill.

    Args:
      target: the modality to draw, the first of several; examples that lack it (its mask) do not count.
      modality: of the target.
      modalities: of the data, by name.
      representation: what the family models in place of the target's array; None is the array itself.
      conditioner: encoders and fusion of the conditions, None for an unconditional model.
    """

    target: str
    modality: Modality
    modalities: dict[str, Modality] = dataclasses.field(default_factory=dict)
    representation: Any = None
    conditioner: Conditioner | None = None

    # The fields that only `sample` reads: `mmgen sample --config.objective.temperature=0.8` may set them.
    sampling: ClassVar[tuple[str, ...]] = ()
    # Whether `config.representation` may stand between the target and the family.
    takes_representation: ClassVar[bool] = True
    # The family's own players, in update order.
    own_players: ClassVar[tuple[str, ...]] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """Every modality that `sample` may give."""
        return (self.target,)

    @property
    def players(self) -> tuple[str, ...]:
        """Those of the representation, then the family's own."""
        return (*self.code.players, *self.own_players)

    @property
    def stages(self) -> tuple[tuple[str, str], ...]:
        """Pairs of players: the first must be trained, and stand still, when the second begins."""
        return tuple((first, then) for first in self.code.players for then in self.own_players)

    @property
    def abilities(self) -> frozenset[str]:
        """Of `sample`, `reconstruct`, `elbo`, `embed`, `embed_pair`: the methods that this objective has."""
        return frozenset({"sample"})

    def code_loss(self, player: str, params, collections, batch: Batch, rng: jax.Array):
        """The loss of a player of the representation."""
        target, weights = zero_masked(batch, self.target), example_weights(batch, self.target)
        return self.code.loss(player, params, collections, target, weights, rng)

    def through_code(self, params, collections, batch: Batch) -> dict[str, jax.Array]:
        """The target through its representation and back."""
        return {self.target: self.code.decode(params, collections, self.encode_target(params, collections, batch))}

    @property
    def conditions(self) -> Conditioner:
        """The conditioner of a family that cannot do without.

        Raises:
          ConfigError: there is none.
        """
        if self.conditioner is None:
            name = type(self).__module__.rpartition(".")[2]
            raise ConfigError(f"config.encoders: objective {name!r} reads conditions; add an encoder and a fusion")
        return self.conditioner

    @property
    def code(self):
        """The representation, the identity where none is set."""
        return self.representation or lookup.find("representations", "identity")(self.modality)

    def continuous(self, *ranks: int) -> Continuous:
        """The representation's space, for families that model arrays of such ranks.

        Raises:
          ConfigError: the space is discrete, or of another rank.
        """
        space = self.code.space
        name = type(self).__module__.rpartition(".")[2]
        if not isinstance(space, Continuous) or (ranks and space.rank not in ranks):
            wanted = "values" + (f" on a grid of rank {', '.join(map(str, ranks))}" if ranks else "")
            raise ConfigError(
                f"objective {name!r}: models {wanted}, and {self.target!r} ({self.modality.kind}) gives {space}; "
                "choose another config.representation or objective"
            )
        return space

    def discrete(self) -> Discrete:
        """The representation's space, for families that model sequences of ids.

        Raises:
          ConfigError: the space is continuous.
        """
        space = self.code.space
        if not isinstance(space, Discrete):
            name = type(self).__module__.rpartition(".")[2]
            raise ConfigError(
                f"objective {name!r}: models ids, and {self.target!r} ({self.modality.kind}) gives {space}; set "
                "config.representation, e.g. representation.name='vq_vae' with an encoder and a decoder"
            )
        return space

    def encode_target(self, params, collections, batch: Batch) -> jax.Array:
        """The target as the family models it, zero where it is masked, without a gradient."""
        encoded = self.code.encode(params, collections, zero_masked(batch, self.target))
        return jax.lax.stop_gradient(encoded) if self.code.players else encoded

    def sample(self, params, collections, batch: Batch, rng: jax.Array, given: tuple[str, ...] = ()):
        self._lacks("sample")

    def reconstruct(self, params, collections, batch: Batch, rng: jax.Array):
        self._lacks("reconstruct")

    def elbo(self, params, collections, batch: Batch, rng: jax.Array):
        self._lacks("elbo")

    def embed(self, params, collections, batch: Batch, rng: jax.Array):
        self._lacks("embed")

    def embed_pair(self, params, collections, batch: Batch, rng: jax.Array):
        self._lacks("embed_pair")

    def _lacks(self, ability: str) -> NoReturn:
        name = type(self).__module__.rpartition(".")[2]
        raise ConfigError(f"objective {name!r}: has no {ability!r}; it has: {', '.join(sorted(self.abilities))}")
