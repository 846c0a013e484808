"""Losses as pure functions, per example or per element, in float32; the objective takes the mean last."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mmgen_jax.networks.layers import mapped

ACTIVE_VARIANCE = 0.01  # of a posterior's mean over the examples
ACTIVE_KL = 0.01  # nats; a latent dimension below this KL has collapsed to the prior (posterior collapse)


def per_example(x: jax.Array) -> jax.Array:
    """Sums over all axes but the batch axis: `[B, ...] -> [B]`."""
    return jnp.sum(x.reshape(x.shape[0], -1), axis=-1)


class Adversarial(NamedTuple):
    """The losses of both players, per logit: `discriminator(real logits, fake logits)`, `generator(fake logits)`."""

    discriminator: Callable[[jax.Array, jax.Array], jax.Array]
    generator: Callable[[jax.Array], jax.Array]


ADVERSARIAL = {
    # Goodfellow et al., 2014: the generator maximises log D(fake).
    "non_saturating": Adversarial(
        lambda real, fake: jax.nn.softplus(-real) + jax.nn.softplus(fake), lambda fake: jax.nn.softplus(-fake)
    ),
    # Lim & Ye, 2017; Miyato et al., 2018.
    "hinge": Adversarial(lambda real, fake: jax.nn.relu(1.0 - real) + jax.nn.relu(1.0 + fake), lambda fake: -fake),
    # Mao et al., 2017, with labels 1 (real), 0 (fake).
    "least_squares": Adversarial(
        lambda real, fake: 0.5 * ((real - 1.0) ** 2 + fake**2), lambda fake: 0.5 * (fake - 1.0) ** 2
    ),
    # Arjovsky et al., 2017; a Wasserstein distance only with a gradient penalty or spectral normalisation.
    "wasserstein": Adversarial(lambda real, fake: fake - real, lambda fake: -fake),
}


def gradient_norms(critic: Callable[[jax.Array], jax.Array], x: jax.Array) -> jax.Array:
    """`|| d critic / d x ||` for each example `[B]`; for several logits of an example, the gradient of their sum."""
    grads = jax.grad(lambda x: jnp.sum(critic(x)))(x)
    return jnp.sqrt(per_example(grads.astype(jnp.float32) ** 2) + 1e-12)


def gradient_penalty(critic, real: jax.Array, fake: jax.Array, mix: jax.Array) -> jax.Array:
    """`(|| grad || - 1)^2 [B]` at `mix · real + (1 - mix) · fake`, `mix [B]` in [0, 1] (Gulrajani et al., 2017)."""
    mix = mix.reshape(-1, *[1] * (real.ndim - 1))
    return (gradient_norms(critic, mix * real + (1.0 - mix) * fake) - 1.0) ** 2


def r1(critic, real: jax.Array) -> jax.Array:
    """`|| grad ||^2 / 2 [B]` at real examples (Mescheder et al., 2018)."""
    return 0.5 * gradient_norms(critic, real) ** 2


def kl_standard_normal(mean: jax.Array, log_var: jax.Array) -> jax.Array:
    """KL(N(mean, exp(log_var)) || N(0, 1)) for each dimension, in nats."""
    return 0.5 * (jnp.exp(log_var) + mean**2 - 1.0 - log_var)


def active_dimensions(kl: jax.Array, weights: jax.Array) -> jax.Array:
    """The share, in [0, 1], of the latent's dimensions with a KL above `ACTIVE_KL`, mean over the examples.

    The other dimensions have collapsed to the prior. In a grid, every channel of every position is one dimension.

    Args:
      kl: `[B, ..., D]`, in nats.
      weights: `[B]`, of the examples, with mean 1.
    """
    return jnp.mean(weights * jnp.mean((kl > ACTIVE_KL).reshape(len(kl), -1), axis=-1))


def active_units(mean: jax.Array, weights: jax.Array) -> jax.Array:
    """The share, in [0, 1], of the latent's dimensions whose posterior mean varies from example to example.

    The variance over the batch is above `ACTIVE_VARIANCE`; Burda et al. (2016) take the variance over a data set. The
    measure is for priors that do not factorise over dimensions, such as a mixture: their KL has no term per dimension.

    Args:
      mean: `[B, D]`, of the posterior; two examples or more in the global batch.
      weights: `[B]`, of the examples, with mean 1.
    """
    center = mapped.mean_over_batch(weights[:, None] * mean)
    return jnp.mean(mapped.mean_over_batch(weights[:, None] * (mean - center) ** 2) > ACTIVE_VARIANCE)


def kl_normal(mean: jax.Array, log_var: jax.Array, prior_mean: jax.Array, prior_log_var: jax.Array) -> jax.Array:
    """KL(N(mean, exp(log_var)) || N(prior_mean, exp(prior_log_var))) for each dimension, in nats."""
    precision = jnp.exp(-prior_log_var)
    return 0.5 * (precision * (jnp.exp(log_var) + (mean - prior_mean) ** 2) - 1.0 + prior_log_var - log_var)


def mixture_log_density(z: jax.Array, logits: jax.Array, mean: jax.Array, log_var: jax.Array) -> jax.Array:
    """Log-density `[B]`, in nats, at `z [B, D]` of a mixture of normals with diagonal covariances.

    The softmax of `logits [K]` gives the weights; `mean` and `log_var [K, D]` are those of the K components.
    """
    squares = (z[:, None] - mean) ** 2 * jnp.exp(-log_var)  # [B, K, D]
    densities = -0.5 * jnp.sum(squares + log_var + math.log(2 * math.pi), axis=-1)
    return jax.nn.logsumexp(jax.nn.log_softmax(logits) + densities, axis=-1)


# Negative log-likelihoods in nats for each element, of a generator's `output` and a `target` (values in [-1, 1] for
# Bernoulli).


def bernoulli_nll(output: jax.Array, target: jax.Array) -> jax.Array:
    """Cross-entropy with `output` as logits; the target x in [-1, 1] stands for the probability (x + 1) / 2."""
    p = (target + 1.0) / 2.0
    return jax.nn.softplus(output) - p * output


def gaussian_nll(output: jax.Array, target: jax.Array, scale: float) -> jax.Array:
    """Negative log-likelihood of a normal distribution with mean `output` and standard deviation `scale`."""
    return 0.5 * ((target - output) / scale) ** 2 + math.log(scale) + 0.5 * math.log(2 * math.pi)


def laplace_nll(output: jax.Array, target: jax.Array, scale: float) -> jax.Array:
    """Negative log-likelihood of a Laplace distribution with location `output` and scale `scale`."""
    return jnp.abs(target - output) / scale + math.log(2 * scale)
