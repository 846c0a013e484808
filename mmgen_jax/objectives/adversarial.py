"""Generative adversarial networks, unconditional and conditional (Goodfellow et al., 2014; Mirza & Osindero, 2014).

The generator reads noise and the fused conditions; the discriminator has encoders and a fusion of its own. With
`mismatch`, the discriminator also learns that a real picture with another example's conditions is wrong (the
matching-aware loss of Reed et al., 2016).

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

from mmgen_jax.modalities.modality import Modality
from mmgen_jax.networks.conditioning.conditioner import Conditional
from mmgen_jax.networks.layers import randomness
from mmgen_jax.objectives.parts.discriminator import Adversary
from mmgen_jax.objectives.parts.masks import present, to_range


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective(Adversary):
    """A discriminator and a generator, see `Adversary`.

    Args:
      latent_dim: length of the noise vector.
    """

    generator: nn.Module
    modality: Modality
    latent_dim: int = 128

    players: ClassVar[tuple[str, ...]] = ("discriminator", "generator")

    @property
    def networks(self) -> dict[str, nn.Module]:
        return super().networks | {"generator": Conditional(self.conditioner, self.generator)}

    def init(self, rng: jax.Array, batch) -> dict[str, Any]:
        real = batch[self.target]
        noise = jnp.zeros((real.shape[0], self.latent_dim))
        keys = {name: jax.random.fold_in(rng, i) for i, name in enumerate(("params", "dropout", "modality_dropout"), 1)}
        return {
            "discriminator": self.networks["discriminator"].init(keys, batch, real, train=True),
            "generator": self.networks["generator"].init(keys, batch, noise, train=True),
        }

    def loss(self, player: str, params, extra, batch, rng: jax.Array, step=0):
        """Hinge, non-saturating, least squares or Wasserstein loss of one player; see the contract in the package."""
        fake_rng, mix_rng, shared, *dropout = jax.random.split(rng, 6)
        dropout = [{"dropout": key, "modality_dropout": shared} for key in dropout]
        output, generator_extra = self._apply(
            "generator", params, extra, batch, self._noise(fake_rng, batch), dropout[0]
        )
        fake = to_range(output)
        if player == "generator":
            loss, metrics = self._generator_loss(params, extra, batch, fake, dropout[1])
            return loss, (extra | {"generator": generator_extra}, metrics)
        real = present(batch, self.target)
        return self._discriminator_loss(params, extra, batch, real, fake, mix_rng, dropout[1:])

    def sample(self, params, extra, batch, rng: jax.Array) -> dict[str, jax.Array]:
        variables = {"params": params["generator"], **extra["generator"]}
        output = self.networks["generator"].apply(variables, batch, self._noise(rng, batch), train=False)
        return {self.target: to_range(output)}

    def _noise(self, rng, batch):
        return randomness.normal(rng, next(iter(batch.values())).shape[0], (self.latent_dim,), self.axis_name)
