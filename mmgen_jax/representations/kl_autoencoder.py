"""The KL-regularised autoencoder of latent diffusion (Rombach et al., 2022): a grid to a smaller grid of latents.

Departs from the paper: no adversarial or perceptual loss; the family models the posterior's means instead of samples,
with each channel normalised to mean 0 and variance 1 by running statistics.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import NotNegative, Size
from mmgen_jax.modalities.space import Continuous
from mmgen_jax.networks.layers import mapped, randomness
from mmgen_jax.objectives.parts import losses
from mmgen_jax.objectives.parts.apply import apply_train, init_keys
from mmgen_jax.representations.grid import grid_shape
from mmgen_jax.representations.learned import Learned


class Autoencoder(nn.Module):
    """An encoder, a diagonal Gaussian posterior for each cell of the encoder's grid, and a decoder from this grid.

    Args:
      target_encoder: `(grid [B, *grid, C], mask [B]) -> Tokens [B, N, D]`.
      target_decoder: `(latents [B, N, channels], None) -> [B, *grid, C]`.
      channels: number of channels of the latents.
      momentum: of the running mean and second moment of each channel of the posterior's mean.
    """

    target_encoder: nn.Module
    target_decoder: nn.Module
    channels: int
    momentum: float = 0.99

    def setup(self):
        self.posterior = nn.Dense(2 * self.channels)
        self.mean = self.variable("latent_stats", "mean", jnp.zeros, self.channels)
        self.second_moment = self.variable("latent_stats", "second_moment", jnp.ones, self.channels)

    def distribution(self, target, train: bool = False):
        """Mean and log-variance of the posterior, each `[B, N, channels]` float32."""
        tokens = self.target_encoder(target, jnp.ones(target.shape[0], bool), train=train)
        return jnp.split(self.posterior(tokens.values.astype(jnp.float32)), 2, axis=-1)

    def __call__(self, target, weights, noise, train: bool = False):
        """`(output of the target's shape, mean, log_var)`, with the output decoded from a sample of the posterior.

        Args:
          weights: `[B]` with mean 1, weights of the examples in the running statistics.
          noise: standard normal, `[B, *space.shape]`.
        """
        mean, log_var = self.distribution(target, train)
        if train and not self.is_initializing():
            self._observe(jax.lax.stop_gradient(mean), weights[:, None, None])
        latent = mean + jnp.exp(0.5 * log_var) * noise.reshape(mean.shape)
        return self.target_decoder(latent, None, train=train), mean, log_var

    def _observe(self, latent, weights):
        moments = mapped.mean([jnp.mean(weights * power, axis=(0, 1)) for power in (latent, latent**2)])
        for variable, moment in zip((self.mean, self.second_moment), moments):
            variable.value = self.momentum * variable.value + (1 - self.momentum) * moment

    def _scale(self):
        return jnp.sqrt(jnp.maximum(self.second_moment.value - self.mean.value**2, 1e-8))

    def encode(self, target):
        """The normalised means of the posterior, `[B, *grid, channels]`."""
        latent = (self.distribution(target)[0] - self.mean.value) / self._scale()
        return latent.reshape(len(target), *grid_shape(self.target_encoder, target.shape[1:]), self.channels)

    def decode(self, latent):
        """Normalised latents `[B, *grid, channels]` to an array of the target's shape, unbounded."""
        latent = latent * self._scale() + self.mean.value
        return self.target_decoder(latent.reshape(len(latent), -1, self.channels), None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Representation(Learned):
    """Latents of a grid, from the player `autoencoder`; further fields in `Learned`.

    Args:
      latent_dim: number of channels of the latents.
      kl_weight: weight of the KL divergence per latent element; the squared error per element has weight 1.
    """

    latent_dim: Size = 4
    kl_weight: NotNegative = 1e-4

    own_player: ClassVar[str] = "autoencoder"

    @functools.cached_property
    def space(self) -> Continuous:
        return Continuous((*grid_shape(self.encoder, self.grid.shape), self.latent_dim), bounded=False)

    @property
    def network(self) -> Autoencoder:
        return Autoencoder(self.encoder, self.decoder, self.latent_dim)

    def init(self, rng: jax.Array, target: jax.Array) -> dict[str, Any]:
        grid, ones = self.zeros(len(target)), jnp.ones(len(target))
        noise = jnp.zeros((len(target), *self.space.shape))
        own = self.network.init(init_keys(rng), grid, ones, noise, train=True)
        return {**self.of.init(rng, target), self.own_player: own}

    def loss(self, player: str, params, collections, target: jax.Array, weights: jax.Array, rng: jax.Array):
        """Squared error per element plus the weighted KL; `weights [B]` are those of the examples, with mean 1."""
        if player != self.own_player:
            return self.of.loss(player, params, collections, target, weights, rng)
        noise_rng, dropout_rng = jax.random.split(rng)
        grid = self.of.encode(params, collections, target)
        noise = randomness.normal(noise_rng, len(grid), self.space.shape)
        (output, mean, log_var), collections = apply_train(
            self.network, player, params, collections, grid, weights, noise, rngs={"dropout": dropout_rng}
        )
        output = self.in_range(output)
        error = jnp.mean(weights * (losses.per_example((output - grid) ** 2) / grid[0].size))
        of_each = losses.kl_standard_normal(mean, log_var)
        kl = jnp.mean(weights * losses.per_example(of_each) / mean[0].size)
        metrics = {"error_per_element": error, "kl_per_element": kl}
        metrics["active_dimensions"] = losses.active_dimensions(of_each, weights)
        return error + self.kl_weight * kl, (collections, metrics)
