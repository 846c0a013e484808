"""Convolutional autoencoder (Masci et al., 2011), with optional denoising (Vincent et al., 2008).

To sample, the decoder decodes draws from a Gaussian with full covariance, fitted to the latents (the simplest ex-post
density of Ghosh et al., 2020, "From Variational to Deterministic Autoencoders").

Departs from Ghosh et al.: the Gaussian is estimated by moving averages during training, not in a pass after training,
and with `noise` of the latents of noisy targets. Departs from Vincent et al.: normal noise in place of values set to 0.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import NotNegative, Size
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
        """The latents of `target [B, *space.shape]`, `[B, latent_dim]` float32."""
        tokens = self.target_encoder(target, jnp.ones(target.shape[0], bool), train=train)
        return self.latent(tokens.values.reshape(target.shape[0], -1).astype(jnp.float32))

    def __call__(self, target, weights=None, train: bool = False):
        """The decoded latents `[B, *space.shape]`, unbounded.

        `weights [B]`, with mean 1, weight the examples in the latents' moving averages; only training uses them.
        """
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

    def draw(self, noise):
        """`mean + L noise` for `noise [B, latent_dim]`, where `L L^T` is the covariance of the latents."""
        mean = self.mean.value
        covariance = self.second_moment.value - jnp.outer(mean, mean)
        values, vectors = jnp.linalg.eigh(covariance)
        root = vectors * jnp.sqrt(jnp.maximum(values, 0.0))
        return mean + noise @ root.T

    def generate(self, latent):
        return self.generator(latent, None)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective(Family):
    """Reconstruction error of one modality, summed over its elements.

    Args:
      target_encoder: `(target [B, *space.shape], mask [B]) -> Tokens`; a dense layer maps all tokens to the latent.
      generator: `(latent [B, latent_dim], None, train) -> [B, *space.shape]`, unbounded.
      latent_dim: length of the latent.
      error: `l2` (squared error) or `l1` (absolute error).
      noise: standard deviation of the Gaussian noise on the encoder's input (denoising), in units of the target's
        values, which lie in [-1, 1].

    Raises:
      ConfigError: there are conditions, the target's space is discrete, or `error` is unknown.
    """

    target_encoder: nn.Module
    generator: nn.Module
    latent_dim: Size = 32
    error: str = "l2"
    noise: NotNegative = 0.0

    own_players: ClassVar[tuple[str, ...]] = ("generator",)
    generator_form: ClassVar[str] = "latent"

    def __post_init__(self):
        if self.error not in ERRORS:
            raise ConfigError(f"objective.error: expected one of {', '.join(ERRORS)}, got {self.error!r}")
        if self.conditioner is not None:
            raise ConfigError("config.encoders: objective 'reconstruction' has no use for it; take it out")
        self.continuous()

    @property
    def abilities(self) -> frozenset[str]:
        return frozenset({"sample", "reconstruct", "draw_latent", "to_latent", "from_latent"})

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
        """Decoded draws from the Gaussian that is fitted to the latents."""
        return self.from_latent(params, collections, batch, self.draw_latent(params, collections, batch, rng))

    def draw_latent(self, params, collections, batch, rng: jax.Array) -> jax.Array:
        noise = randomness.normal(rng, batch_size(batch), (self.latent_dim,))
        return apply(self.network, "generator", params, collections, noise, method="draw")

    def to_latent(self, params, collections, batch, rng: jax.Array) -> jax.Array:
        target = self.code.encode(params, collections, batch[self.target])
        return apply(self.network, "generator", params, collections, target, method="encode")

    def from_latent(self, params, collections, batch, latent: jax.Array) -> dict[str, jax.Array]:
        return self._decoded(params, collections, latent, method="generate")

    def reconstruct(self, params, collections, batch, rng: jax.Array) -> dict[str, jax.Array]:
        return self._decoded(params, collections, self.code.encode(params, collections, batch[self.target]))

    def _decoded(self, params, collections, x, method="__call__"):
        output = apply(self.network, "generator", params, collections, x, method=method)
        return {self.target: self.code.decode(params, collections, self._to_space(output))}

    def _to_space(self, output):
        return to_range(output) if self.code.space.bounded else output.astype(jnp.float32)
