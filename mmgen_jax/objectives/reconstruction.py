"""Convolutional autoencoder (Masci et al., 2011), with optional denoising (Vincent et al., 2008).

To draw new examples, a Gaussian with full covariance is fitted to the latents by a moving average during training, and
its samples are decoded. That is the simplest ex-post density of Ghosh et al., 2020 (From Variational to Deterministic
Autoencoders), estimated along the way rather than in a pass at the end.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.layers import mapped, randomness
from mmgen_jax.objectives.parts import losses
from mmgen_jax.objectives.parts.apply import apply, apply_train
from mmgen_jax.objectives.parts.family import Family
from mmgen_jax.objectives.parts.masks import batch_size, example_weights, to_range

ERRORS = {"l2": lambda x: x**2, "l1": jnp.abs}


class Network(nn.Module):
    """Encoder, latent and decoder."""

    target_encoder: nn.Module
    generator: nn.Module
    latent_dim: int
    momentum: float = 0.99

    def setup(self):
        self.latent = nn.Dense(self.latent_dim)
        self.mean = self.variable("latent_stats", "mean", jnp.zeros, self.latent_dim)
        self.second_moment = self.variable("latent_stats", "second_moment", jnp.eye, self.latent_dim)

    def encode(self, target: jax.Array, train: bool = False):
        """`[B, latent_dim]` float32."""
        tokens = self.target_encoder(target, jnp.ones(target.shape[0], bool), train=train)
        return self.latent(tokens.values.reshape(target.shape[0], -1).astype(jnp.float32))

    def __call__(self, target, weights=None, train: bool = False):
        """`weights [B]`, with mean 1, of the examples in the latents' statistics; only used in training."""
        latent = self.encode(target, train)
        if train and not self.is_initializing():
            assert weights is not None, "training has them"
            self._observe(jax.lax.stop_gradient(latent), weights[:, None])
        return self.generator(latent, None, train=train)

    def _observe(self, latent, weights):
        moments = jnp.mean(weights * latent, axis=0), (weights * latent).T @ latent / latent.shape[0]
        moments = mapped.mean(moments)
        for variable, moment in zip((self.mean, self.second_moment), moments):
            variable.value = self.momentum * variable.value + (1 - self.momentum) * moment

    def generate(self, noise):
        """Decodes `mean + L noise`, where `L L^T` is the latents' covariance."""
        mean = self.mean.value
        covariance = self.second_moment.value - jnp.outer(mean, mean)
        values, vectors = jnp.linalg.eigh(covariance)
        root = vectors * jnp.sqrt(jnp.maximum(values, 0.0))
        return self.generator(mean + noise @ root.T, None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective(Family):
    """Reconstruction error of one modality, summed over its elements.

    Args:
      target_encoder: of the target's array on its grid, to tokens; they are flattened.
      generator: `(latent [B, latent_dim], None, train) -> [B, *space.shape]`.
      error: `l2` or `l1`.
      noise: standard deviation of Gaussian noise on the encoder's input, in units of the [-1, 1] range.
    """

    target_encoder: nn.Module
    generator: nn.Module
    latent_dim: int = 32
    error: str = "l2"
    noise: float = 0.0

    own_players: ClassVar[tuple[str, ...]] = ("generator",)

    def __post_init__(self):
        if self.error not in ERRORS:
            raise ConfigError(f"objective.error: expected one of {', '.join(ERRORS)}, got {self.error!r}")
        if self.conditioner is not None:
            raise ConfigError("config.encoders: objective 'reconstruction' has no use for it; take it out")
        self.continuous()

    @property
    def abilities(self) -> frozenset[str]:
        return frozenset({"sample", "reconstruct"})

    @property
    def network(self) -> Network:
        return Network(self.target_encoder, self.generator, self.latent_dim)

    def init(self, rng: jax.Array, batch) -> dict[str, Any]:
        code = jnp.zeros((batch_size(batch), *self.code.space.shape))
        own = self.network.init({"params": rng, "dropout": rng}, code, train=True)
        return {**self.code.init(rng, batch[self.target]), "generator": own}

    def loss(self, player: str, params, collections, batch, rng: jax.Array, step=0):
        if player in self.code.players:
            return self.code_loss(player, params, collections, batch, rng)
        noise_rng, dropout_rng = jax.random.split(rng)
        target, weights = self.encode_target(params, collections, batch), example_weights(batch, self.target)
        noise = randomness.normal(noise_rng, target.shape[0], target.shape[1:]) if self.noise else 0.0
        noisy = target + self.noise * noise
        output, collections = apply_train(
            self.network, "generator", params, collections, noisy, weights, rngs={"dropout": dropout_rng}
        )
        error = ERRORS[self.error](self._to_space(output) - target)
        loss = jnp.mean(weights * losses.per_example(error))
        return loss, (collections, {"error_per_element": loss / error[0].size})

    def sample(self, params, collections, batch, rng: jax.Array, given=()) -> dict[str, jax.Array]:
        """Decoded draws from the Gaussian fitted to the latents."""
        noise = randomness.normal(rng, batch_size(batch), (self.latent_dim,))
        return self._decoded(params, collections, noise, method="generate")

    def reconstruct(self, params, collections, batch, rng: jax.Array) -> dict[str, jax.Array]:
        return self._decoded(params, collections, self.code.encode(params, collections, batch[self.target]))

    def _decoded(self, params, collections, x, method="__call__"):
        output = apply(self.network, "generator", params, collections, x, method=method)
        return {self.target: self.code.decode(params, collections, self._to_space(output))}

    def _to_space(self, output):
        return to_range(output) if self.code.space.bounded else output.astype(jnp.float32)
