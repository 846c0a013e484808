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

from mmgen_jax.modalities.modality import Modality
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.networks.layers import randomness
from mmgen_jax.objectives.parts import losses
from mmgen_jax.objectives.parts.masks import presence_weights, present

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

    def condition(self, batch, train: bool = False):
        return self.conditioner(batch, train=train) if self.conditioner else None

    def encode(self, target, fused, train: bool = False):
        """Mean and log-variance of q(z | target, conditions), each `[B, latent_dim]`, float32."""
        tokens = self.target_encoder(target, jnp.ones(target.shape[0], bool), train=train)
        hidden = tokens.values.reshape(target.shape[0], -1)
        if fused is not None:
            hidden = jnp.concatenate([hidden, fused.pooled], axis=-1)
        return jnp.split(self.posterior(hidden.astype(jnp.float32)), 2, axis=-1)

    def expect(self, fused):
        """Mean and log-variance of p(z | conditions), each `[B, latent_dim]`; None for the standard normal prior."""
        return jnp.split(self.prior(fused.pooled.astype(jnp.float32)), 2, axis=-1) if self.conditional_prior else None

    def decode(self, latent, fused, train: bool = False):
        return self.generator(latent, fused, train=train).astype(jnp.float32)

    def __call__(self, batch, target, noise, train: bool = False):
        fused = self.condition(batch, train)
        mean, log_var = self.encode(target, fused, train)
        prior = self.expect(fused)
        kl = losses.kl_standard_normal(mean, log_var) if prior is None else losses.kl_normal(mean, log_var, *prior)
        return self.decode(mean + jnp.exp(0.5 * log_var) * noise, fused, train), kl  # kl [B, latent_dim]

    def generate(self, batch, noise):
        fused = self.condition(batch)
        prior = self.expect(fused)
        return self.decode(noise if prior is None else prior[0] + jnp.exp(0.5 * prior[1]) * noise, fused)


@dataclasses.dataclass(frozen=True)
class Objective:
    """The negative evidence lower bound, in nats per example.

    Args:
      target: the modality to generate; examples that lack it (its mask) do not count.
      likelihood: `bernoulli`, `gaussian` or `laplace`, of each element of the target. For `bernoulli` a value in
        [-1, 1] is the probability of a 1 and is drawn anew each time (dynamic binarisation, Salakhutdinov & Murray,
        2008).
      scale: standard deviation (Gaussian) or scale (Laplace) of the likelihood, in units of the [-1, 1] range.
      prior: of the latent: `standard`, or `conditional`, a normal whose mean and variance are linear in the conditions'
        vector. With it the latent may hold more of what the conditions say, and is drawn to agree with them.
      beta: weight of the KL term in the loss; the `elbo` metric always has weight 1.
      warmup_steps: the KL weight rises linearly from 0 over so many steps.
      free_bits: each latent dimension's KL (mean over the batch) costs nothing below so many nats.
    """

    target_encoder: nn.Module
    generator: nn.Module
    modality: Modality
    target: str
    conditioner: Conditioner | None = None
    latent_dim: int = 32
    likelihood: str = "gaussian"
    scale: float = 0.2
    prior: str = "standard"
    beta: float = 1.0
    warmup_steps: int = 0
    free_bits: float = 0.0
    axis_name: str | None = None

    players: ClassVar[tuple[str, ...]] = ("generator",)

    def __post_init__(self):
        if self.likelihood not in LIKELIHOODS:
            raise ValueError(f"objective.likelihood: expected one of {', '.join(LIKELIHOODS)}, got {self.likelihood!r}")
        if self.prior not in PRIORS:
            raise ValueError(f"objective.prior: expected one of {', '.join(PRIORS)}, got {self.prior!r}")
        if self.prior == "conditional" and self.conditioner is None:
            raise ValueError("objective.prior: 'conditional' needs encoders and a fusion; without them use 'standard'")
        if self.scale <= 0:
            raise ValueError(f"objective.scale: expected > 0, got {self.scale}")

    @property
    def network(self) -> Network:
        conditional = self.prior == "conditional"
        return Network(self.target_encoder, self.generator, self.conditioner, self.latent_dim, conditional)

    def init(self, rng: jax.Array, batch) -> dict[str, Any]:
        keys = dict.fromkeys(("params", "dropout", "modality_dropout"), rng)
        noise = jnp.zeros((batch[self.target].shape[0], self.latent_dim))
        return {"generator": self.network.init(keys, batch, batch[self.target], noise, train=True)}

    def loss(self, player: str, params, extra, batch, rng: jax.Array, step=0):
        """Distortion + weight · KL, and the bound; see the contract in the package."""
        noise_rng, binary_rng, dropout_rng, modality_rng = jax.random.split(rng, 4)
        target = self._observed(batch, binary_rng)
        (output, kl), new = self.network.apply(
            {"params": params["generator"], **extra["generator"]},
            batch,
            target,
            self._noise(noise_rng, batch),
            train=True,
            rngs={"dropout": dropout_rng, "modality_dropout": modality_rng},
            mutable=list(extra["generator"]),
        )
        weights = presence_weights(batch, self.target, self.axis_name)
        distortion = losses.per_example(self._nll(output, target))
        if self.free_bits:
            of_dimension = jnp.mean(weights[:, None] * kl, axis=0)
            if self.axis_name:
                of_dimension = jax.lax.pmean(of_dimension, self.axis_name)
            rate = jnp.sum(jnp.maximum(of_dimension, self.free_bits))
        else:
            rate = jnp.mean(weights * jnp.sum(kl, axis=-1))
        warmup = jnp.minimum(1.0, (step + 1.0) / self.warmup_steps) if self.warmup_steps else 1.0
        loss = jnp.mean(weights * distortion) + self.beta * warmup * rate
        kl, distortion = jnp.mean(weights * jnp.sum(kl, axis=-1)), jnp.mean(weights * distortion)
        metrics = {"distortion": distortion, "kl": kl, "elbo": -(distortion + kl)}
        return loss, (extra | {"generator": new}, metrics)

    def sample(self, params, extra, batch, rng: jax.Array) -> dict[str, jax.Array]:
        """The likelihood's mean (Bernoulli: probability) at a latent drawn from the prior."""
        output = self._apply(params, extra, batch, self._noise(rng, batch), method="generate")
        return {self.target: self._mean(output)}

    def reconstruct(self, params, extra, batch, rng: jax.Array) -> dict[str, jax.Array]:
        """The likelihood's mean at the posterior's mean."""
        output, _ = self._apply(params, extra, batch, batch[self.target], jnp.zeros(self.latent_dim))
        return {self.target: self._mean(output)}

    def elbo(self, params, extra, batch, rng: jax.Array) -> jax.Array:
        """The bound `[B]` in nats, one posterior sample per example."""
        noise_rng, binary_rng = jax.random.split(rng)
        target = self._observed(batch, binary_rng)
        output, kl = self._apply(params, extra, batch, target, self._noise(noise_rng, batch))
        return -(losses.per_example(self._nll(output, target)) + jnp.sum(kl, axis=-1))

    def _apply(self, params, extra, *args, method="__call__"):
        return self.network.apply({"params": params["generator"], **extra["generator"]}, *args, method=method)

    def _noise(self, rng, batch):
        return randomness.normal(rng, next(iter(batch.values())).shape[0], (self.latent_dim,), self.axis_name)

    def _observed(self, batch, rng):
        """The target, zero where masked; for a Bernoulli likelihood drawn as -1 or 1, else the bound bounds nothing."""
        target = present(batch, self.target)
        if self.likelihood != "bernoulli":
            return target
        keys = randomness.example_keys(rng, target.shape[0], self.axis_name)
        uniform = jax.vmap(lambda key: jax.random.uniform(key, target.shape[1:]))(keys)
        return jnp.where(uniform < (target + 1.0) / 2.0, 1.0, -1.0)

    def _nll(self, output, target):
        if self.likelihood == "bernoulli":
            return losses.bernoulli_nll(output, target)
        nll = {"gaussian": losses.gaussian_nll, "laplace": losses.laplace_nll}[self.likelihood]
        return nll(output, target, self.scale)

    def _mean(self, output):
        return 2.0 * jax.nn.sigmoid(output) - 1.0 if self.likelihood == "bernoulli" else jnp.clip(output, -1.0, 1.0)
