"""Generative adversarial networks, unconditional and conditional (Goodfellow et al., 2014; Mirza & Osindero, 2014).

The generator reads noise and the conditions; the discriminator has encoders and a fusion of its own. With `mismatch`,
the discriminator also learns that a real example with another one's conditions is wrong (the matching-aware loss of
Reed et al., 2016).

Departs from the papers: both players see the same fake batch in a step, so that it is computed once (Goodfellow et al.
draw it anew for each). R1 is applied at every discriminator update. A wrong condition is another example's, which by
chance may be a right one.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.networks.conditioning.conditioner import Conditional
from mmgen_jax.networks.layers import randomness
from mmgen_jax.objectives.parts.apply import apply
from mmgen_jax.objectives.parts.discriminator import WithDiscriminator
from mmgen_jax.objectives.parts.masks import batch_size, to_range


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective(WithDiscriminator):
    """A discriminator and a generator, see `WithDiscriminator`.

    Args:
      generator: `(noise [B, latent_dim], condition, train) -> [B, *space.shape]`, unbounded.
      latent_dim: length of the noise vector.
    """

    generator: nn.Module
    latent_dim: int = 128

    own_players: ClassVar[tuple[str, ...]] = ("discriminator", "generator")

    def __post_init__(self):
        super().__post_init__()
        self.continuous()

    @property
    def abilities(self) -> frozenset[str]:
        return frozenset({"sample", "reconstruct"} if self.representation else {"sample"})

    @property
    def networks(self) -> dict[str, nn.Module]:
        return super().networks | {"generator": Conditional(self.conditioner, self.generator)}

    def init(self, rng: jax.Array, batch) -> dict[str, Any]:
        num = batch_size(batch)
        real, noise = jnp.zeros((num, *self.code.space.shape)), jnp.zeros((num, self.latent_dim))
        keys = {name: jax.random.fold_in(rng, i) for i, name in enumerate(("params", "dropout", "modality_dropout"), 1)}
        return {
            **self.code.init(rng, batch[self.target]),
            "discriminator": self.networks["discriminator"].init(keys, batch, real, train=True),
            "generator": self.networks["generator"].init(keys, batch, noise, train=True),
        }

    def loss(self, player: str, params, collections, batch, rng: jax.Array, step=0):
        """Hinge, non-saturating, least squares or Wasserstein loss of one player; see the contract in the package."""
        if player in self.code.players:
            return self.code_loss(player, params, collections, batch, rng)
        fake_rng, mix_rng, shared, *dropout = jax.random.split(rng, 6)
        dropout = [{"dropout": key, "modality_dropout": shared} for key in dropout]
        output, updated = self._apply_train(
            "generator", params, collections, batch, self._noise(fake_rng, batch), dropout[0]
        )
        fake = self._to_space(output)
        if player == "generator":
            loss, metrics = self._generator_loss(params, collections, batch, fake, dropout[1])
            return loss, (updated, metrics)
        real = self.encode_target(params, collections, batch)
        return self._discriminator_loss(params, collections, batch, real, fake, mix_rng, dropout[1:])

    def sample(self, params, collections, batch, rng: jax.Array, given=()) -> dict[str, jax.Array]:
        output = apply(self.networks["generator"], "generator", params, collections, batch, self._noise(rng, batch))
        return {self.target: self.code.decode(params, collections, self._to_space(output))}

    def reconstruct(self, params, collections, batch, rng: jax.Array) -> dict[str, jax.Array]:
        """The target through its representation and back."""
        return self.through_code(params, collections, batch)

    def _to_space(self, output):
        return to_range(output) if self.code.space.bounded else output.astype(jnp.float32)

    def _noise(self, rng, batch):
        return randomness.normal(rng, batch_size(batch), (self.latent_dim,))
