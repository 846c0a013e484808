"""Posteriors q(z | X) of multimodal VAEs, each a mixture of normals that is a function of one expert per modality.

    joint                 an encoder of all modalities (JMVAE, Suzuki et al., 2017); `product_of_experts` where one is
                          absent, so a single expert is the posterior of its modality
    product               the product of the experts and the prior (MVAE, Wu & Goodman, 2018)
    mixture               the mixture of the experts (MMVAE, Shi et al., 2019)
    mixture_of_products   the mixture of the products of all subsets (MoPoE, Sutter et al., 2021; the authors' code and
                          multivae also multiply the product of all experts by the prior)
    product_of_experts    the product of the experts without the prior (MVTCAE, Hwang et al., 2021)
    attention             attention between the modalities' features, masked where an example lacks one

A new posterior is a function `(Experts) -> Mixture` and its line in `POSTERIORS`. Absent modalities have no influence:
no function reads an expert where `present` is False. An example without any modality gets the prior.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mmgen_jax.objectives.parts import importance, losses

MAX_EXPERTS = 10  # of `mixture_of_products`, which has 2^M - 1 components


class Experts(NamedTuple):
    """Normals q(z | x_m) of M modalities, and the normal of a network that reads all modalities, if any.

    Args:
      mean, log_var: `[B, M, Z]`.
      present: `[B, M] bool`.
      fused: `(mean, log_var)`, each `[B, Z]`, for a posterior with a network of its own; else None.
    """

    mean: jax.Array
    log_var: jax.Array
    present: jax.Array
    fused: tuple[jax.Array, jax.Array] | None = None


class Mixture(NamedTuple):
    """A mixture of C normals for each example: `log_weights [B, C]`, `mean` and `log_var [B, C, Z]`."""

    log_weights: jax.Array
    mean: jax.Array
    log_var: jax.Array

    def log_density(self, z: jax.Array) -> jax.Array:
        """`[K, B]` in nats at `z [K, B, Z]`."""
        densities = importance.log_normal(z[:, :, None], self.mean, self.log_var)  # [K, B, C]
        return jax.nn.logsumexp(self.log_weights + densities, axis=-1)

    def kl(self, means: jax.Array | None = None, log_vars: jax.Array | None = None) -> jax.Array:
        """Upper bound `[B]` of the KL to the standard normal, or to a normal `[B, Z]`: the mean over the components.

        The bound follows from convexity, and is exact for one component.
        """
        if means is None or log_vars is None:
            of_each = losses.kl_standard_normal(self.mean, self.log_var)
        else:
            of_each = losses.kl_normal(self.mean, self.log_var, means[:, None], log_vars[:, None])
        return jnp.sum(jnp.exp(self.log_weights) * jnp.sum(of_each, axis=-1), axis=-1)

    def kl_of_dimensions(self) -> jax.Array:
        """`kl` to the standard normal by dimension, `[B, Z]`."""
        of_each = losses.kl_standard_normal(self.mean, self.log_var)
        return jnp.sum(jnp.exp(self.log_weights)[..., None] * of_each, axis=1)

    def component(self, index: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Mean and log-variance `[…, B, Z]` of the components `index [..., B]`."""
        rows = jnp.arange(index.shape[-1])
        return self.mean[rows, index], self.log_var[rows, index]

    def chosen(self, uniform: jax.Array) -> jax.Array:
        """Components `[…, B] int32` drawn with `uniform [..., B]` in [0, 1)."""
        shares = jnp.cumsum(jnp.exp(self.log_weights), axis=-1)  # [B, C]
        last = self.log_weights.shape[-1] - 1 - jnp.argmax(jnp.isfinite(self.log_weights)[:, ::-1], axis=-1)
        return jnp.minimum(jnp.sum(shares <= uniform[..., None], axis=-1), last).astype(jnp.int32)


class Posterior(NamedTuple):
    """A posterior and how it is used.

    Args:
      of: from the experts to the mixture.
      network: the network that gives `Experts.fused`: "" (none), `joint` or `attention`.
      is_normal: whether the mixture has one component.
      stratified: whether the loss takes a latent from every component (as MMVAE does) and weighs them, or draws one
        component for each example (as MoPoE does).
    """

    of: Callable[[Experts], Mixture]
    network: str = ""
    is_normal: bool = True
    stratified: bool = False


def product(experts: Experts) -> Mixture:
    """`p(z) prod_m q(z | x_m)`, normalised: precisions add up, and means are weighed by them."""
    return _one(*_products(experts, jnp.ones((1, experts.mean.shape[1])), prior=1.0))


def product_of_experts(experts: Experts) -> Mixture:
    """`prod_m q(z | x_m)`, normalised."""
    return _or_prior(experts, _one(*_products(experts, jnp.ones((1, experts.mean.shape[1])), prior=0.0)))


def mixture(experts: Experts) -> Mixture:
    """`1/M sum_m q(z | x_m)` over the modalities that the example has."""
    mean, log_var = (jnp.where(experts.present[..., None], x, 0.0) for x in (experts.mean, experts.log_var))
    return _or_prior(experts, Mixture(_uniform(experts.present), mean, log_var))


def mixture_of_products(experts: Experts) -> Mixture:
    """The mixture of `product_of_experts` of every subset of the modalities that the example has."""
    subsets = np.array(list(itertools.product((0, 1), repeat=experts.mean.shape[1]))[1:], np.float32)  # [C, M]
    mean, log_var = _products(experts, jnp.asarray(subsets), prior=0.0)
    complete = jnp.all(experts.present[:, None] | (subsets == 0), axis=-1)  # [B, C]
    return _or_prior(experts, Mixture(_uniform(complete), mean, log_var))


def joint(experts: Experts) -> Mixture:
    """The joint encoder's normal for examples with all modalities, `product_of_experts` for the others."""
    assert experts.fused is not None
    of_rest = product_of_experts(experts)
    whole = jnp.all(experts.present, axis=1)[:, None, None]
    mean, log_var = (values[:, None] for values in experts.fused)
    return _one(jnp.where(whole, mean, of_rest.mean), jnp.where(whole, log_var, of_rest.log_var))


def attention(experts: Experts) -> Mixture:
    """The attention network's normal."""
    assert experts.fused is not None
    return _or_prior(experts, _one(*(values[:, None] for values in experts.fused)))


POSTERIORS = {
    "joint": Posterior(joint, network="joint"),
    "product": Posterior(product),
    "mixture": Posterior(mixture, is_normal=False, stratified=True),
    "mixture_of_products": Posterior(mixture_of_products, is_normal=False),
    "product_of_experts": Posterior(product_of_experts),
    "attention": Posterior(attention, network="attention"),
}


def _products(experts: Experts, subsets: jax.Array, prior: float) -> tuple[jax.Array, jax.Array]:
    """Mean and log-variance `[B, C, Z]` of the products of the present experts of each of `subsets [C, M]`, 0 or 1.

    Args:
      prior: precision of the standard normal among the factors, 0 or 1.
    """
    precision = jnp.where(experts.present[..., None], jnp.exp(-experts.log_var), 0.0)  # [B, M, Z]
    weighted = jnp.where(experts.present[..., None], precision * experts.mean, 0.0)
    total = jnp.einsum("cm,bmz->bcz", subsets, precision) + prior
    total = jnp.where(total > 0, total, 1.0)  # a subset of which the example has none
    return jnp.einsum("cm,bmz->bcz", subsets, weighted) / total, -jnp.log(total)


def _one(mean: jax.Array, log_var: jax.Array) -> Mixture:
    return Mixture(jnp.zeros(mean.shape[:2]), mean, log_var)


def _uniform(valid: jax.Array) -> jax.Array:
    """Log-weights `[B, C]`, equal for the components where `valid` is True and -inf for the others."""
    count = jnp.maximum(jnp.sum(valid, axis=-1, keepdims=True), 1)
    return jnp.where(valid, -jnp.log(count.astype(jnp.float32)), -jnp.inf)


def _or_prior(experts: Experts, of: Mixture) -> Mixture:
    """The mixture; the standard normal, with all weight on the first component, where an example has no modality."""
    some = jnp.any(experts.present, axis=1)
    first = jnp.where(jnp.arange(of.log_weights.shape[1]) == 0, 0.0, -jnp.inf)
    log_weights = jnp.where(some[:, None], of.log_weights, first)
    mean, log_var = (jnp.where(some[:, None, None], values, 0.0) for values in (of.mean, of.log_var))
    return Mixture(log_weights, mean, log_var)
