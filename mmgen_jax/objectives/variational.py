"""Variational autoencoder, unconditional and conditional (Kingma & Welling, 2014; Sohn et al., 2015).

`z ~ q(z | target, conditions)` in training, `z ~ p(z)` or `p(z | conditions)` in sampling, and the target given `z` and
the conditions. Options: beta (Higgins et al., 2017), KL warm-up (Sønderby et al., 2016), free bits (Kingma et al.,
2016).

Departs from the papers: the prior of the conditional model is the standard normal one unless `prior` says otherwise
(Sohn et al. always learn it).
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.networks.conditioning.tokens import pooled, pooled_of
from mmgen_jax.networks.layers import mapped, randomness
from mmgen_jax.objectives.parts import losses
from mmgen_jax.objectives.parts.apply import apply, apply_train, init_keys
from mmgen_jax.objectives.parts.family import Family
from mmgen_jax.objectives.parts.masks import batch_size, example_weights

LIKELIHOODS = ("bernoulli", "gaussian", "laplace")
PRIORS = ("standard", "conditional")


class Network(nn.Module):
    """The conditioner, the recognition network, the decoder and, where it is learnt, the prior."""

    target_encoder: nn.Module
    generator: nn.Module
    conditioner: Conditioner | None
    latent_dim: int
    conditional_prior: bool = False

    def setup(self):
        self.posterior = nn.Dense(2 * self.latent_dim)
        if self.conditional_prior:
            self.prior = nn.Dense(2 * self.latent_dim)

    def encode_conditions(self, batch, train: bool = False):
        return self.conditioner(batch, train=train) if self.conditioner else None

    def encode(self, target, condition, train: bool = False):
        """Mean and log-variance of q(z | target, conditions), each `[B, latent_dim]`, float32."""
        tokens = self.target_encoder(target, jnp.ones(target.shape[0], bool), train=train)
        hidden = tokens.values.reshape(target.shape[0], -1)
        vector = pooled_of(condition)
        if vector is not None:
            hidden = jnp.concatenate([hidden, vector], axis=-1)
        return jnp.split(self.posterior(hidden.astype(jnp.float32)), 2, axis=-1)

    def prior_parameters(self, condition):
        """Mean and log-variance of p(z | conditions), each `[B, latent_dim]`; None for the standard normal prior."""
        return (
            jnp.split(self.prior(pooled(condition).astype(jnp.float32)), 2, axis=-1) if self.conditional_prior else None
        )

    def decode(self, latent, condition, train: bool = False):
        return self.generator(latent, condition, train=train).astype(jnp.float32)

    def __call__(self, batch, target, noise, train: bool = False):
        condition = self.encode_conditions(batch, train)
        mean, log_var = self.encode(target, condition, train)
        prior = self.prior_parameters(condition)
        kl = losses.kl_standard_normal(mean, log_var) if prior is None else losses.kl_normal(mean, log_var, *prior)
        return self.decode(mean + jnp.exp(0.5 * log_var) * noise, condition, train), kl  # kl [B, latent_dim]

    def generate(self, batch, noise):
        condition = self.encode_conditions(batch)
        prior = self.prior_parameters(condition)
        return self.decode(noise if prior is None else prior[0] + jnp.exp(0.5 * prior[1]) * noise, condition)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective(Family):
    """The negative evidence lower bound, in nats per example.

    Args:
      target_encoder: of the target's array on its grid, to tokens; they are flattened.
      generator: `(latent [B, latent_dim], condition, train) -> [B, *space.shape]`.
      likelihood: `bernoulli`, `gaussian` or `laplace`, of each element. For `bernoulli` a value in [-1, 1] is the
        probability of a 1 and is drawn anew each time (dynamic binarisation, Salakhutdinov & Murray, 2008).
      scale: standard deviation (Gaussian) or scale (Laplace) of the likelihood, in units of the [-1, 1] range.
      prior: of the latent: `standard`, or `conditional`, a normal whose mean and variance are linear in the conditions'
        vector. With it the latent may hold more of what the conditions say, and is drawn to agree with them.
      beta: weight of the KL term in the loss; the `elbo` metric always has weight 1.
      warmup_steps: the KL weight rises linearly from 0 over so many steps.
      free_bits: each latent dimension's KL (mean over the batch) costs nothing below so many nats.
    """

    target_encoder: nn.Module
    generator: nn.Module
    latent_dim: int = 32
    likelihood: str = "gaussian"
    scale: float = 0.2
    prior: str = "standard"
    beta: float = 1.0
    warmup_steps: int = 0
    free_bits: float = 0.0

    own_players: ClassVar[tuple[str, ...]] = ("generator",)

    def __post_init__(self):
        if self.likelihood not in LIKELIHOODS:
            raise ConfigError(
                f"objective.likelihood: expected one of {', '.join(LIKELIHOODS)}, got {self.likelihood!r}"
            )
        if self.prior not in PRIORS:
            raise ConfigError(f"objective.prior: expected one of {', '.join(PRIORS)}, got {self.prior!r}")
        if self.prior == "conditional" and (self.conditioner is None or self.conditioner.fusion is None):
            raise ConfigError("objective.prior: 'conditional' needs encoders and a fusion; without them use 'standard'")
        if self.scale <= 0:
            raise ConfigError(f"objective.scale: expected > 0, got {self.scale}")
        if not self.continuous().bounded and self.likelihood == "bernoulli":
            raise ConfigError("objective.likelihood: 'bernoulli' needs values in [-1, 1]; use 'gaussian' for latents")

    @property
    def abilities(self) -> frozenset[str]:
        # The bound is one of the target only where what is modelled is the target.
        return frozenset({"sample", "reconstruct"} | (set() if self.representation else {"elbo"}))

    @property
    def network(self) -> Network:
        conditional = self.prior == "conditional"
        return Network(self.target_encoder, self.generator, self.conditioner, self.latent_dim, conditional)

    def init(self, rng: jax.Array, batch) -> dict[str, Any]:
        num = batch_size(batch)
        code, noise = jnp.zeros((num, *self.code.space.shape)), jnp.zeros((num, self.latent_dim))
        own = self.network.init(init_keys(rng), batch, code, noise, train=True)
        return {**self.code.init(rng, batch[self.target]), "generator": own}

    def loss(self, player: str, params, collections, batch, rng: jax.Array, step=0):
        """Distortion + weight · KL, and the bound; see the contract in the package."""
        if player in self.code.players:
            return self.code_loss(player, params, collections, batch, rng)
        noise_rng, binary_rng, dropout_rng, modality_rng = jax.random.split(rng, 4)
        target = self._observed(params, collections, batch, binary_rng)
        rngs = {"dropout": dropout_rng, "modality_dropout": modality_rng}
        (output, kl), collections = apply_train(
            self.network, "generator", params, collections, batch, target, self._noise(noise_rng, batch), rngs=rngs
        )
        weights = example_weights(batch, self.target)
        distortion = losses.per_example(self._nll(output, target))
        if self.free_bits:
            rate = jnp.sum(jnp.maximum(mapped.mean_over_batch(weights[:, None] * kl), self.free_bits))
        else:
            rate = jnp.mean(weights * jnp.sum(kl, axis=-1))
        warmup = jnp.minimum(1.0, (step + 1.0) / self.warmup_steps) if self.warmup_steps else 1.0
        loss = jnp.mean(weights * distortion) + self.beta * warmup * rate
        kl, distortion = jnp.mean(weights * jnp.sum(kl, axis=-1)), jnp.mean(weights * distortion)
        return loss, (collections, {"distortion": distortion, "kl": kl, "elbo": -(distortion + kl)})

    def sample(self, params, collections, batch, rng: jax.Array, given=()) -> dict[str, jax.Array]:
        """The likelihood's mean (Bernoulli: probability) at a latent drawn from the prior."""
        output = self._apply(params, collections, batch, self._noise(rng, batch), method="generate")
        return {self.target: self.code.decode(params, collections, self._mean(output))}

    def reconstruct(self, params, collections, batch, rng: jax.Array) -> dict[str, jax.Array]:
        """The likelihood's mean at the posterior's mean."""
        target = self.code.encode(params, collections, batch[self.target])
        output, _ = self._apply(params, collections, batch, target, jnp.zeros(self.latent_dim))
        return {self.target: self.code.decode(params, collections, self._mean(output))}

    def elbo(self, params, collections, batch, rng: jax.Array) -> jax.Array:
        """The bound `[B]` in nats, one posterior sample per example."""
        noise_rng, binary_rng = jax.random.split(rng)
        target = self._observed(params, collections, batch, binary_rng)
        output, kl = self._apply(params, collections, batch, target, self._noise(noise_rng, batch))
        return -(losses.per_example(self._nll(output, target)) + jnp.sum(kl, axis=-1))

    def _apply(self, params, collections, *args, method="__call__"):
        return apply(self.network, "generator", params, collections, *args, method=method)

    def _noise(self, rng, batch):
        return randomness.normal(rng, batch_size(batch), (self.latent_dim,))

    def _observed(self, params, collections, batch, rng):
        """The target, zero where masked; for a Bernoulli likelihood drawn as -1 or 1, else the bound bounds nothing."""
        target = self.encode_target(params, collections, batch)
        if self.likelihood != "bernoulli":
            return target
        return jnp.where(randomness.uniform(rng, len(target), target.shape[1:]) < (target + 1.0) / 2.0, 1.0, -1.0)

    def _nll(self, output, target):
        if self.likelihood == "bernoulli":
            return losses.bernoulli_nll(output, target)
        nll = {"gaussian": losses.gaussian_nll, "laplace": losses.laplace_nll}[self.likelihood]
        return nll(output, target, self.scale)

    def _mean(self, output):
        if self.likelihood == "bernoulli":
            return 2.0 * jax.nn.sigmoid(output) - 1.0
        return jnp.clip(output, -1.0, 1.0) if self.code.space.bounded else output
