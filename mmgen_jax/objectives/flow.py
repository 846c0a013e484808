"""Normalising flows: an invertible network from the target to normal noise, with the exact likelihood.

`log p(x) = log N(f(x)) + log |det df/dx|`; sampling draws noise and inverts f (Dinh et al., 2017; for sounds, WaveGlow,
Prenger et al., 2019).

Departs from WaveGlow: training adds noise to the target. Without this noise, the likelihood of a sound with a finite
number of levels, or with exact silence, is unbounded. The latent is standard normal.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import NotNegative
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.networks.layers import randomness
from mmgen_jax.objectives.parts import losses
from mmgen_jax.objectives.parts.apply import apply, apply_train, init_keys
from mmgen_jax.objectives.parts.completion import clipped
from mmgen_jax.objectives.parts.masks import batch_size, example_weights
from mmgen_jax.objectives.parts.segments import Segmented


class Network(nn.Module):
    """The conditioner and an invertible network."""

    conditioner: Conditioner | None
    generator: nn.Module

    def __call__(self, batch, x: jax.Array, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """`(z, log |det dz/dx| [B])` of a target `x [B, *space.shape]`."""
        return self.generator(x, self._encode(batch, train), train=train)

    def inverse(self, batch, z: jax.Array) -> jax.Array:
        generator: Any = self.generator
        return generator.inverse(z, self._encode(batch))

    def _encode(self, batch, train: bool = False):
        return self.conditioner(batch, train=train) if self.conditioner else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective(Segmented):
    """Negative log-likelihood in nats for each value of the target; further fields in `Segmented`.

    Args:
      generator: `(x [B, *space.shape], condition, train) -> (z of the same shape, log |det dz/dx| [B])`, with the
        inverse `inverse(z, condition) -> x` (`generators/waveglow.py`).
      noise: standard deviation of the normal noise that is added to the target, in training and in the likelihood.
      temperature: standard deviation of the noise that a sample is drawn from; 1 is the model's own distribution.
    """

    generator: nn.Module
    noise: NotNegative = 1e-3
    temperature: NotNegative = 1.0

    own_players: ClassVar[tuple[str, ...]] = ("generator",)
    generator_form: ClassVar[str] = "invertible"
    sampling: ClassVar[tuple[str, ...]] = ("temperature",)
    takes_representation: ClassVar[bool] = False

    def __post_init__(self):
        self.continuous()
        self.check_segment()

    @property
    def abilities(self) -> frozenset[str]:
        return frozenset({"sample", "elbo"})

    @property
    def network(self) -> Network:
        return Network(self.conditioner, self.generator)

    def init(self, rng: jax.Array, batch) -> dict[str, Any]:
        target = jnp.zeros((batch_size(batch), *self.code.space.shape))
        own = self.network.init(init_keys(rng), batch, target, train=True)
        return {"generator": own}

    def loss(self, player: str, params, collections, batch, rng: jax.Array, step=0):
        if self.segment:
            objective, batch = self.of_segments(batch, rng)
            return objective.loss(player, params, collections, batch, rng, step)
        noise_rng, dropout_rng, modality_rng = jax.random.split(rng, 3)
        x = self._noisy(params, collections, batch, noise_rng)
        rngs = {"dropout": dropout_rng, "modality_dropout": modality_rng}
        (z, log_det), collections = apply_train(self.network, "generator", params, collections, batch, x, rngs=rngs)
        weights = example_weights(batch, self.target) / x[0].size
        nll, log_det = -jnp.mean(weights * log_likelihood(z, log_det)), jnp.mean(weights * log_det)
        metrics = {"nats_per_value": nll, "log_det": log_det, "z_square": jnp.mean(weights * losses.per_example(z**2))}
        return nll, (collections, metrics)

    def elbo(self, params, collections, batch, rng: jax.Array) -> jax.Array:
        """The log-density `[B]` of the target with its noise, in nats: no bound but the value itself."""
        x = self._noisy(params, collections, batch, rng)
        return log_likelihood(*apply(self.network, "generator", params, collections, batch, x))

    def sample(self, params, collections, batch, rng: jax.Array, given=()) -> dict[str, jax.Array]:
        z = self.temperature * randomness.normal(rng, batch_size(batch), self.code.space.shape)
        x = apply(self.network, "generator", params, collections, batch, z, method="inverse")
        return {self.target: self.code.decode(params, collections, clipped(x, self.code.space.bounded))}

    def _noisy(self, params, collections, batch, rng: jax.Array) -> jax.Array:
        x = self.encode_target(params, collections, batch)
        return x + self.noise * randomness.normal(rng, len(x), x.shape[1:]) if self.noise else x


def log_likelihood(z: jax.Array, log_det: jax.Array) -> jax.Array:
    """`log N(z; 0, 1) + log_det` in nats, `[B]`, of `z [B, …]`."""
    return -0.5 * losses.per_example(z**2 + math.log(2 * math.pi)) + log_det
