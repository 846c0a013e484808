"""Variational autoencoder, unconditional and conditional (Kingma & Welling, 2014; Sohn et al., 2015).

The latent `z` is drawn from the posterior `q(z | target, conditions)` in training, and from the prior `p(z)` or
`p(z | conditions)` in sampling; the decoder models the target given `z` and the conditions. Options: beta-VAE (Higgins
et al., 2017), KL warm-up (Sønderby et al., 2016), free bits (Kingma et al., 2016), and as prior a mixture of normals
that is learned with the model (Nalisnick et al., 2016; Tomczak & Welling, 2018).

Departs from the papers: the conditional model has a standard normal prior by default; Sohn et al. always learn the
prior (`prior="conditional"`).
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import NotNegative, Positive, Size, Steps
from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.networks.conditioning.tokens import pooled, pooled_of
from mmgen_jax.networks.layers import mapped, randomness
from mmgen_jax.objectives.parts import losses
from mmgen_jax.objectives.parts.apply import apply, apply_train, init_keys
from mmgen_jax.objectives.parts.family import Family
from mmgen_jax.objectives.parts.masks import batch_size, example_weights

LIKELIHOODS = ("bernoulli", "gaussian", "laplace")
PRIORS = ("standard", "conditional", "mixture")


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
        condition = self.encode_conditions(batch, train)
        mean, log_var = self.encode(target, condition, train)
        latent = mean + jnp.exp(0.5 * log_var) * noise
        return self.decode(latent, condition, train), self._kl(mean, log_var, latent, condition)

    def _kl(self, mean, log_var, latent, condition):
        """KL of posterior and prior, `[B, latent_dim]`; of a mixture `[B, 1]`, estimated at the drawn latent."""
        if self.num_components:
            entropy = 0.5 * jnp.sum(log_var + 1.0 + math.log(2 * math.pi), axis=-1)
            mixture = (self.mixture_logits, self.mixture_mean, self.mixture_log_var)
            return -(entropy + losses.mixture_log_density(latent, *mixture))[:, None]
        prior = self.prior_parameters(condition)
        return losses.kl_standard_normal(mean, log_var) if prior is None else losses.kl_normal(mean, log_var, *prior)

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Objective(Family):
    """The negative evidence lower bound (ELBO), in nats per example.

    Args:
      target_encoder: `(target [B, *space.shape], mask [B]) -> Tokens`; a dense layer maps all tokens, and the pooled
        conditions, to the posterior's parameters.
      generator: the decoder, `(latent [B, latent_dim], condition, train) -> [B, *space.shape]`, unbounded.
      latent_dim: length of the latent.
      likelihood: `bernoulli`, `gaussian` or `laplace`, independent for each element. With `bernoulli`, a target value x
        in [-1, 1] stands for the probability (x + 1) / 2, and every step draws -1 or 1 with this probability (dynamic
        binarisation, Salakhutdinov & Murray, 2008).
      scale: standard deviation (`gaussian`) or scale (`laplace`) of the likelihood, in units of the target's values,
        which lie in [-1, 1] where the space is bounded.
      prior: `standard` is the standard normal; `conditional` is a normal whose mean and log-variance are linear in the
        pooled conditions. With `conditional`, the KL term does not penalise content of the conditions in the latent,
        and sampled latents agree with the conditions. `mixture` is a mixture of normals with learned weights, means and
        diagonal variances. The mixture follows the posteriors of the training examples; the standard normal also covers
        regions from which no example was decoded. The KL term of the mixture is estimated with one latent per example.
      num_components: number of components of the `mixture`.
      beta: weight of the KL term in the loss; the metric `elbo` always has weight 1.
      warmup_steps: number of steps over which the weight of the KL term rises linearly from 0; 0 is no warm-up.
      free_bits: lower bound, in nats, of the KL term of each latent dimension (a mean over the batch) in the loss.

    Raises:
      ConfigError: the target's space is discrete, or a field is out of range or does not fit the space or conditions.
    """

    target_encoder: nn.Module
    generator: nn.Module
    latent_dim: Size = 32
    likelihood: str = "gaussian"
    scale: Positive = 0.2
    prior: str = "standard"
    num_components: Size = 64
    beta: NotNegative = 1.0
    warmup_steps: Steps = 0
    free_bits: NotNegative = 0.0

    own_players: ClassVar[tuple[str, ...]] = ("generator",)
    generator_form: ClassVar[str] = "latent"

    def __post_init__(self):
        if self.likelihood not in LIKELIHOODS:
            raise ConfigError(
                f"objective.likelihood: expected one of {', '.join(LIKELIHOODS)}, got {self.likelihood!r}"
            )
        if self.prior not in PRIORS:
            raise ConfigError(f"objective.prior: expected one of {', '.join(PRIORS)}, got {self.prior!r}")
        if self.prior == "conditional" and (self.conditioner is None or self.conditioner.fusion is None):
            raise ConfigError("objective.prior: 'conditional' needs encoders and a fusion; without them use 'standard'")
        if self.prior == "mixture" and self.free_bits:
            raise ConfigError("objective.free_bits: the KL of a mixture has no part for each dimension; set it to 0")
        if self.scale <= 0:
            raise ConfigError(f"objective.scale: expected > 0, got {self.scale}")
        if not self.continuous().bounded and self.likelihood == "bernoulli":
            raise ConfigError("objective.likelihood: 'bernoulli' needs values in [-1, 1]; use 'gaussian' for latents")

    @property
    def abilities(self) -> frozenset[str]:
        # With a representation, the bound is for the code, not for the target.
        own = {"sample", "reconstruct", "draw_latent", "to_latent", "from_latent"}
        return frozenset(own | (set() if self.representation else {"elbo"}))

    @property
    def network(self) -> Network:
        components = self.num_components if self.prior == "mixture" else 0
        networks = (self.target_encoder, self.generator, self.conditioner)
        return Network(*networks, self.latent_dim, self.prior == "conditional", components)

    def init(self, rng: jax.Array, batch) -> dict[str, Any]:
        num = batch_size(batch)
        code, noise = jnp.zeros((num, *self.code.space.shape)), jnp.zeros((num, self.latent_dim))
        own = self.network.init(init_keys(rng), batch, code, noise, train=True)
        return {**self.code.init(rng, batch[self.target]), "generator": own}

    def loss(self, player: str, params, collections, batch, rng: jax.Array, step=0):
        """Distortion + weight · KL; the metrics are in nats per example. See `contracts.Objective.loss`."""
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
        """The mean of the likelihood (for `bernoulli`, the probability) given a latent that is drawn from the prior."""
        return self.from_latent(params, collections, batch, self.draw_latent(params, collections, batch, rng))

    def draw_latent(self, params, collections, batch, rng: jax.Array) -> jax.Array:
        if self.prior != "mixture":
            return self._apply(params, collections, batch, self._noise(rng, batch), method="draw")
        noise_rng, choice_rng = jax.random.split(rng)
        uniform = randomness.uniform(choice_rng, batch_size(batch))
        return self._apply(params, collections, batch, self._noise(noise_rng, batch), uniform, method="draw")

    def to_latent(self, params, collections, batch, rng: jax.Array) -> jax.Array:
        """The posterior's mean."""
        target = self.code.encode(params, collections, batch[self.target])
        return self._apply(params, collections, batch, target, method="infer")

    def from_latent(self, params, collections, batch, latent: jax.Array) -> dict[str, jax.Array]:
        output = self._apply(params, collections, batch, latent, method="generate")
        return {self.target: self.code.decode(params, collections, self._mean(output))}

    def reconstruct(self, params, collections, batch, rng: jax.Array) -> dict[str, jax.Array]:
        """The mean of the likelihood given the posterior's mean as latent."""
        target = self.code.encode(params, collections, batch[self.target])
        output, _ = self._apply(params, collections, batch, target, jnp.zeros(self.latent_dim))
        return {self.target: self.code.decode(params, collections, self._mean(output))}

    def elbo(self, params, collections, batch, rng: jax.Array) -> jax.Array:
        """The evidence lower bound `[B]` in nats, with one posterior sample per example."""
        noise_rng, binary_rng = jax.random.split(rng)
        target = self._observed(params, collections, batch, binary_rng)
        output, kl = self._apply(params, collections, batch, target, self._noise(noise_rng, batch))
        return -(losses.per_example(self._nll(output, target)) + jnp.sum(kl, axis=-1))

    def _apply(self, params, collections, *args, method="__call__"):
        return apply(self.network, "generator", params, collections, *args, method=method)

    def _noise(self, rng, batch):
        return randomness.normal(rng, batch_size(batch), (self.latent_dim,))

    def _observed(self, params, collections, batch, rng):
        """The encoded target, see `encode_target`.

        With `bernoulli` the values are drawn as -1 or 1, because the ELBO is a bound only for binary values.
        """
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
