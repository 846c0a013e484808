"""The network of a variational autoencoder with one target: conditioner, posterior, decoder and prior."""

from __future__ import annotations

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.networks.conditioning.tokens import pooled, pooled_of
from mmgen_jax.objectives.parts import importance, losses


class Network(nn.Module):
    """The conditioner, the posterior's encoder, the decoder and, where the prior is learned, its parameters.

    The prior's parameters are a layer with `conditional_prior`, the mixture's components with `num_components` above 0.
    """

    target_encoder: nn.Module
    generator: nn.Module
    conditioner: Conditioner | None
    latent_dim: int
    conditional_prior: bool = False
    num_components: int = 0

    def setup(self):
        self.posterior = nn.Dense(2 * self.latent_dim)
        if self.conditional_prior:
            self.prior = nn.Dense(2 * self.latent_dim)
        if self.num_components:
            shape = (self.num_components, self.latent_dim)
            # Near the standard normal, but each component has another mean.
            self.mixture_mean = self.param("mixture_mean", nn.initializers.normal(0.5), shape)
            self.mixture_log_var = self.param("mixture_log_var", nn.initializers.zeros, shape)
            self.mixture_logits = self.param("mixture_logits", nn.initializers.zeros, shape[:1])

    def encode_conditions(self, batch, train: bool = False):
        return self.conditioner(batch, train=train) if self.conditioner else None

    def encode(self, target, condition, train: bool = False):
        """Mean and log-variance of the posterior q(z | target, conditions), each `[B, latent_dim]` float32."""
        tokens = self.target_encoder(target, jnp.ones(target.shape[0], bool), train=train)
        hidden = tokens.values.reshape(target.shape[0], -1)
        vector = pooled_of(condition)
        if vector is not None:
            hidden = jnp.concatenate([hidden, vector], axis=-1)
        return jnp.split(self.posterior(hidden.astype(jnp.float32)), 2, axis=-1)

    def prior_parameters(self, condition):
        """Mean and log-variance of the prior p(z | conditions), each `[B, latent_dim]`; None for the standard prior."""
        return (
            jnp.split(self.prior(pooled(condition).astype(jnp.float32)), 2, axis=-1) if self.conditional_prior else None
        )

    def decode(self, latent, condition, train: bool = False):
        return self.generator(latent, condition, train=train).astype(jnp.float32)

    def __call__(self, batch, target, noise, train: bool = False):
        """The decoder's output, the KL (`_kl`), and the posterior's mean `[B, latent_dim]`."""
        condition = self.encode_conditions(batch, train)
        mean, log_var = self.encode(target, condition, train)
        latent = mean + jnp.exp(0.5 * log_var) * noise
        return self.decode(latent, condition, train), self._kl(mean, log_var, latent, condition), mean

    def _kl(self, mean, log_var, latent, condition):
        """KL of posterior and prior, `[B, latent_dim]`; of a mixture `[B, 1]`, estimated at the drawn latent."""
        if self.num_components:
            entropy = 0.5 * jnp.sum(log_var + 1.0 + math.log(2 * math.pi), axis=-1)
            mixture = (self.mixture_logits, self.mixture_mean, self.mixture_log_var)
            return -(entropy + losses.mixture_log_density(latent, *mixture))[:, None]
        prior = self.prior_parameters(condition)
        return losses.kl_standard_normal(mean, log_var) if prior is None else losses.kl_normal(mean, log_var, *prior)

    def proposal(self, batch, target, train: bool = False):
        """Mean and log-variance of the posterior, each `[B, latent_dim]`."""
        return self.encode(target, self.encode_conditions(batch, train), train)

    def joint(self, batch, latents, train: bool = False):
        """The decoder's output `[K · B, *space.shape]` and log p(z) `[K, B]`, from latents `[K, B, latent_dim]`."""
        condition = self.encode_conditions(batch, train)
        output = self.decode(latents.reshape(-1, self.latent_dim), importance.repeat(condition, len(latents)), train)
        if self.num_components:
            mixture = (self.mixture_logits, self.mixture_mean, self.mixture_log_var)
            return output, jax.vmap(lambda z: losses.mixture_log_density(z, *mixture))(latents)
        prior = self.prior_parameters(condition)
        if prior is None:
            return output, importance.log_standard_normal(latents)
        return output, importance.log_normal(latents, *prior)

    def draw(self, batch, noise, uniform=None):
        """Latents `[B, latent_dim]` from the prior; `uniform [B]` in [0, 1) chooses the components of a mixture."""
        if self.num_components:
            assert uniform is not None
            shares = jnp.cumsum(jax.nn.softmax(self.mixture_logits))
            chosen = jnp.clip(jnp.searchsorted(shares, uniform, side="right"), 0, self.num_components - 1)
            return self.mixture_mean[chosen] + jnp.exp(0.5 * self.mixture_log_var[chosen]) * noise
        prior = self.prior_parameters(self.encode_conditions(batch))
        return noise if prior is None else prior[0] + jnp.exp(0.5 * prior[1]) * noise

    def infer(self, batch, target):
        """The posterior's mean `[B, latent_dim]`."""
        return self.encode(target, self.encode_conditions(batch))[0]

    def generate(self, batch, latent):
        return self.decode(latent, self.encode_conditions(batch))
