"""The base class of all objective families, with the defaults for a family that draws one target.

A family's file defines `class Objective(Family)`; `contracts.Objective` has the methods with their shapes.
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
    """The declarations of a family, and the fields that `config/system.py` sets.

    Args:
      target: the modality to sample, or the first of several; examples whose target is masked do not count in the loss.
      modality: the modality of the target.
      modalities: all modalities of the data, by name.
      representation: a `contracts.Representation`, whose code the family models; None models the target's own array.
      conditioner: encoders and fusion of the conditions; None for an unconditional model.
    """

    target: str
    modality: Modality
    modalities: dict[str, Modality] = dataclasses.field(default_factory=dict)
    representation: Any = None
    conditioner: Conditioner | None = None

    # The fields that only `sample` reads; `mmgen sample --config.objective.temperature=0.8` may change them.
    sampling: ClassVar[tuple[str, ...]] = ()
    # Whether the family can model the code of `config.representation`; else a config with a representation is refused.
    takes_representation: ClassVar[bool] = True
    # The family's own players, in update order.
    own_players: ClassVar[tuple[str, ...]] = ()
    # The input of the family's generator, a key of `config/fitting.py` FORMS; "" is not checked.
    generator_form: ClassVar[str] = ""

    @property
    def targets(self) -> tuple[str, ...]:
        """All modalities that `sample` returns."""
        return (self.target,)

    @property
    def aligned(self) -> tuple[str, ...]:
        """Modalities that lie on the target's grid; `mmgen sample` reads their picture files at any size."""
        return tuple(dict.fromkeys((*(self.conditioner.aligned if self.conditioner else ()), *self.completes)))

    @property
    def reads_whole(self) -> tuple[str, ...]:
        """Those of `aligned` that a tile also reads whole, as `<name>/whole [B, H, W, C]` of a tile's size."""
        return ()

    @property
    def completes(self) -> tuple[str, ...]:
        """`(picture, mask)` where the objective generates the mask's white part and keeps the rest of the picture."""
        return ()

    @property
    def players(self) -> tuple[str, ...]:
        """The players of the representation, then the family's own players."""
        return (*self.code.players, *self.own_players)

    @property
    def stages(self) -> tuple[tuple[str, str], ...]:
        """Pairs (first, second) of players: the training of the first must end before that of the second begins."""
        return tuple((first, then) for first in self.code.players for then in self.own_players)

    @property
    def abilities(self) -> frozenset[str]:
        """The methods that this objective has, out of `contracts.ABILITIES`."""
        return frozenset({"sample"})

    def warnings(self, source) -> list[str]:
        """Lines about examples of a source that the family cannot learn from; printed at the start of a run."""
        del source
        return []

    def code_loss(self, player: str, params, collections, batch: Batch, rng: jax.Array):
        """The loss of a player of the representation."""
        target, weights = zero_masked(batch, self.target), example_weights(batch, self.target)
        return self.code.loss(player, params, collections, target, weights, rng)

    def through_code(self, params, collections, batch: Batch) -> dict[str, jax.Array]:
        """`{target: array}`, the target encoded and decoded by its representation."""
        return {self.target: self.code.decode(params, collections, self.encode_target(params, collections, batch))}

    @property
    def conditions(self) -> Conditioner:
        """The conditioner, for families that need conditions.

        Raises:
          ConfigError: there is no conditioner.
        """
        if self.conditioner is None:
            name = type(self).__module__.rpartition(".")[2]
            raise ConfigError(f"config.encoders: objective {name!r} reads conditions; add an encoder and a fusion")
        return self.conditioner

    @property
    def code(self):
        """The representation; the identity where `representation` is None."""
        return self.representation or lookup.find("representations", "identity")(self.modality)

    def continuous(self, *ranks: int) -> Continuous:
        """The representation's space, for families that model continuous values on grids of these ranks (none: any).

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
        """The code `[B, *space.shape]` of the target, without a gradient to a learned representation.

        The array of a masked target is set to zero before it is encoded.
        """
        encoded = self.code.encode(params, collections, zero_masked(batch, self.target))
        return jax.lax.stop_gradient(encoded) if self.code.players else encoded

    def sample(self, params, collections, batch: Batch, rng: jax.Array, given: tuple[str, ...] = ()):
        self._lacks("sample")

    def reconstruct(self, params, collections, batch: Batch, rng: jax.Array):
        self._lacks("reconstruct")

    def elbo(self, params, collections, batch: Batch, rng: jax.Array):
        self._lacks("elbo")

    def log_weights(self, params, collections, batch: Batch, rng: jax.Array, num: int = 1, chunk: int = 0):
        self._lacks("log_weights")

    def embed(self, params, collections, batch: Batch, rng: jax.Array):
        self._lacks("embed")

    def embed_pair(self, params, collections, batch: Batch, rng: jax.Array):
        self._lacks("embed_pair")

    def draw_latent(self, params, collections, batch: Batch, rng: jax.Array) -> jax.Array:
        """Latents `[B, Z]`, drawn as in `sample`."""
        self._lacks("draw_latent")

    def to_latent(self, params, collections, batch: Batch, rng: jax.Array) -> jax.Array:
        """Latents `[B, Z]` of the batch's targets, from the family's encoder."""
        self._lacks("to_latent")

    def from_latent(self, params, collections, batch: Batch, latent: jax.Array) -> dict[str, jax.Array]:
        """Every target, decoded from latents `[B, Z]`, given the conditions of the batch."""
        self._lacks("from_latent")

    def align(self, params, collections, batch: Batch, rng: jax.Array) -> dict[str, jax.Array]:
        """The attention of `sample`: `weights [B, S, N]`, the number of `steps [B]`, `mask [B, N]` of the tokens."""
        self._lacks("align")

    def _lacks(self, ability: str) -> NoReturn:
        name = type(self).__module__.rpartition(".")[2]
        raise ConfigError(f"objective {name!r}: has no {ability!r}; it has: {', '.join(sorted(self.abilities))}")
