"""Variational autoencoder, unconditional and conditional (Kingma & Welling, 2014; Sohn et al., 2015).

The latent `z` is drawn from the posterior `q(z | target, conditions)` in training, and from the prior `p(z)` or
`p(z | conditions)` in sampling; the decoder models the target given `z` and the conditions. Options: beta-VAE (Higgins
et al., 2017), KL warm-up (Sønderby et al., 2016), free bits (Kingma et al., 2016), and as prior a mixture of normals
that is learned with the model (Nalisnick et al., 2016; Tomczak & Welling, 2018). In place of the ELBO, the bound may be
importance-weighted: IWAE (Burda et al., 2016), MIWAE (Rainforth et al., 2018), with the gradient DReG (Tucker et al.,
2019).

Departs from the papers: the conditional model has a standard normal prior by default; Sohn et al. always learn the
prior (`prior="conditional"`). The KL term of the ELBO is exact where the prior is a normal; importance-weighted bounds
estimate every term, as in the paper.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp

from mmgen_jax.config.ranges import NotNegative, Positive, Size, Steps
from mmgen_jax.errors import ConfigError
from mmgen_jax.networks.layers import mapped, randomness
from mmgen_jax.objectives.parts import importance, likelihoods, losses
from mmgen_jax.objectives.parts.apply import apply, apply_train, init_keys
from mmgen_jax.objectives.parts.family import Family
from mmgen_jax.objectives.parts.latent_network import Network
from mmgen_jax.objectives.parts.likelihoods import Likelihood
from mmgen_jax.objectives.parts.masks import batch_size, example_weights

LIKELIHOODS = likelihoods.OF_VALUES
PRIORS = ("standard", "conditional", "mixture")


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
      importance_samples: K, latents in each importance-weighted bound (IWAE); 1 is the ELBO.
      num_bounds: M, bounds of K latents each, whose mean is the loss (MIWAE; with K = 1, M samples of the ELBO).
      doubly_reparameterized: the gradient of the bound by DReG.

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
    importance_samples: Size = 1
    num_bounds: Size = 1
    doubly_reparameterized: bool = False

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
        if self._is_weighted and (self.beta != 1 or self.warmup_steps or self.free_bits):
            raise ConfigError(
                "objective.importance_samples: a bound that weighs its samples has no KL term of its own; leave out "
                "beta, warmup_steps and free_bits"
            )
        if not self.continuous().bounded and self.likelihood == "bernoulli":
            raise ConfigError("objective.likelihood: 'bernoulli' needs values in [-1, 1]; use 'gaussian' for latents")

    @property
    def abilities(self) -> frozenset[str]:
        # With a representation, the bound is for the code, not for the target.
        own = {"sample", "reconstruct", "draw_latent", "to_latent", "from_latent"}
        return frozenset(own | (set() if self.representation else {"elbo", "log_weights"}))

    @property
    def _is_weighted(self) -> bool:
        return self.importance_samples * self.num_bounds > 1 or self.doubly_reparameterized

    @property
    def _likelihood(self) -> Likelihood:
        return Likelihood(self.likelihood, self.code.space, self.scale)

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
        if self._is_weighted:
            return self._weighted_loss(params, collections, batch, target, noise_rng, rngs)
        (output, kl, mean), collections = apply_train(
            self.network, "generator", params, collections, batch, target, self._noise(noise_rng, batch), rngs=rngs
        )
        weights = example_weights(batch, self.target)
        distortion = self._likelihood.nll(output, target)
        if self.free_bits:
            rate = jnp.sum(jnp.maximum(mapped.mean_over_batch(weights[:, None] * kl), self.free_bits))
        else:
            rate = jnp.mean(weights * jnp.sum(kl, axis=-1))
        warmup = jnp.minimum(1.0, (step + 1.0) / self.warmup_steps) if self.warmup_steps else 1.0
        loss = jnp.mean(weights * distortion) + self.beta * warmup * rate
        rate, distortion = jnp.mean(weights * jnp.sum(kl, axis=-1)), jnp.mean(weights * distortion)
        metrics = {"distortion": distortion, "kl": rate, "elbo": -(distortion + rate)}
        if self.prior != "mixture":
            metrics["active_dimensions"] = losses.active_dimensions(kl, weights)
        elif len(mean) > 1:  # a mixture does not factorise over dimensions: no KL term for each
            metrics["active_dimensions"] = losses.active_units(mean, weights)
        return loss, (collections, metrics)

    def _weighted_loss(self, params, collections, batch, target, rng, rngs):
        """Minus the mean of the importance-weighted bounds; the metric `elbo` is the mean of the log-weights."""
        run = functools.partial(apply_train, self.network, "generator", rngs=rngs)
        (mean, log_var), collections = run(params, collections, batch, target, method="proposal")
        z = mean + jnp.exp(0.5 * log_var) * self._noises(rng, batch, self.importance_samples * self.num_bounds)

        def log_joint(params, z):
            (output, log_prior), after = run(params, collections, batch, z, method="joint")
            return log_prior - self._nlls(output, target, len(z)), after

        bound, log_w, collections = importance.weighted_bound(
            log_joint,
            params,
            z,
            importance.log_normal,
            (mean, log_var),
            num_bounds=self.num_bounds,
            doubly_reparameterized=self.doubly_reparameterized,
        )
        weights = example_weights(batch, self.target)
        loss = -jnp.mean(weights * bound)
        metrics = {"bound": -loss, "elbo": jnp.mean(weights * log_w.mean(axis=0))}
        if self.prior == "standard":
            metrics["active_dimensions"] = losses.active_dimensions(losses.kl_standard_normal(mean, log_var), weights)
        elif self.prior == "mixture" and len(mean) > 1:
            metrics["active_dimensions"] = losses.active_units(mean, weights)
        return loss, (collections, metrics)

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
        output, _, _ = self._apply(params, collections, batch, target, jnp.zeros(self.latent_dim))
        return {self.target: self.code.decode(params, collections, self._mean(output))}

    def elbo(self, params, collections, batch, rng: jax.Array) -> jax.Array:
        """The evidence lower bound `[B]` in nats, with one posterior sample per example."""
        noise_rng, binary_rng = jax.random.split(rng)
        target = self._observed(params, collections, batch, binary_rng)
        output, kl, _ = self._apply(params, collections, batch, target, self._noise(noise_rng, batch))
        return -(self._likelihood.nll(output, target) + jnp.sum(kl, axis=-1))

    def log_weights(self, params, collections, batch, rng: jax.Array, num: int = 1, chunk: int = 0) -> jax.Array:
        """Logarithms `[B, num]` in nats of p(target, z) / q(z | target), for `num` latents z of the posterior each.

        The target is drawn once, where the likelihood draws it. `chunk` latents are decoded at a time; 0: all.
        """
        noise_rng, binary_rng = jax.random.split(rng)
        target = self._observed(params, collections, batch, binary_rng)
        mean, log_var = self._apply(params, collections, batch, target, method="proposal")

        def draw(rng, num):
            z = mean + jnp.exp(0.5 * log_var) * self._noises(rng, batch, num)
            output, log_prior = self._apply(params, collections, batch, z, method="joint")
            return log_prior - self._nlls(output, target, num) - importance.log_normal(z, mean, log_var)

        return importance.in_chunks(draw, noise_rng, num, chunk).T

    def _apply(self, params, collections, *args, method="__call__"):
        return apply(self.network, "generator", params, collections, *args, method=method)

    def _noise(self, rng, batch):
        return randomness.normal(rng, batch_size(batch), (self.latent_dim,))

    def _noises(self, rng, batch, num: int):
        """`[num, B, latent_dim]`"""
        return jnp.swapaxes(randomness.normal(rng, batch_size(batch), (num, self.latent_dim)), 0, 1)

    def _nlls(self, output, target, num: int):
        """Negative log-likelihoods `[num, B]` of outputs `[num · B, *space.shape]`."""
        return self._likelihood.nll(output, importance.repeat(target, num)).reshape(num, -1)

    def _observed(self, params, collections, batch, rng):
        """The encoded target as the model sees it, see `Likelihood.observed`."""
        return self._likelihood.observed(self.encode_target(params, collections, batch), rng)

    def _mean(self, output):
        return self._likelihood.mean(output)
