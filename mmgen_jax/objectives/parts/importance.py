"""Bounds of a log-likelihood by importance sampling (IWAE, Burda et al., 2016), and their gradients.

With latents z_1, …, z_K from a proposal q(z | x), the weights are w_k = p(x, z_k) / q(z_k | x), and

    log (1/K) sum_k w_k

is in expectation a lower bound of log p(x), tighter for larger K; for K = 1 the bound is the ELBO. The axis K comes
first, and is flattened with the batch for networks of `[B, …]`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

Tree = TypeVar("Tree")


def repeat(tree: Tree, num: int) -> Tree:
    """Arrays `[B, …]` as `[num · B, …]`: the whole batch `num` times, as `[K, B, …]` is flattened."""
    return jax.tree.map(lambda x: jnp.tile(x, (num, *[1] * (x.ndim - 1))), tree)


def bound(log_weights: jax.Array) -> jax.Array:
    """The bound `[B]` in nats from `log_weights [K, B]`."""
    return jax.nn.logsumexp(log_weights, axis=0) - math.log(len(log_weights))


def in_chunks(draw: Callable[[jax.Array, int], jax.Array], rng: jax.Array, num: int, chunk: int) -> jax.Array:
    """`[num, B]` from `draw(key, n) -> [n, B]`, called for `chunk` rows at a time; chunk 0: for all rows at once."""
    if not 0 < chunk < num:
        return draw(rng, num)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(rng, jnp.arange(-(-num // chunk)))
    rows = jax.lax.map(lambda key: draw(key, chunk), keys)  # [chunks, chunk, B]
    return rows.reshape(-1, rows.shape[-1])[:num]


def weighted_bound(
    log_joint: Callable[[Any, jax.Array], tuple[jax.Array, Any]],
    params: Any,
    z: jax.Array,
    log_density: Callable[..., jax.Array],
    proposal: Any,
    *,
    num_bounds: int = 1,
    shares: jax.Array | None = None,
    doubly_reparameterized: bool = False,
) -> tuple[jax.Array, jax.Array, Any]:
    """The mean of importance-weighted bounds, with their gradient, from reparameterised latents.

    Args:
      log_joint: from `params` and latents `[M · K, B, Z]` to `(log p(x, z) [M · K, B], anything else)`.
      z: latents `[M · K, B, Z]`, functions of the proposal's parameters.
      log_density: `(z, *proposal) -> [M · K, B]`, the log-density of the proposal.
      num_bounds: M, the number of bounds, each of K latents.
      shares: `[M, B]`, the weights of the bounds in their sum; None: 1 / M each.
      doubly_reparameterized: use the gradient DReG (Tucker et al., 2019): for the proposal's parameters, each latent is
        weighed by its squared normalised weight, and the score term is left out. DReG is unbiased, with less variance
        than the usual gradient, only if the latents are drawn from the density in the weights. In MMVAE (Shi et al.,
        2019), the latents of a bound are from one component, and the weights have the density of the whole mixture:
        with K > 1 the gradient is biased.

    Returns:
      `(bound [B], log-weights [M · K, B] without a gradient, the rest of log_joint's result)`.
    """
    still = jax.lax.stop_gradient
    shares = jnp.full((num_bounds, 1), 1 / num_bounds) if shares is None else still(shares)
    if not doubly_reparameterized:
        log_p, rest = log_joint(params, z)
        log_w = log_p - log_density(z, *proposal)
        bounds = jnp.stack([bound(w) for w in jnp.split(log_w, num_bounds)])
        return jnp.sum(shares * bounds, axis=0), still(log_w), rest
    # The same numbers twice: with a gradient to the parameters of p alone, and through the latents alone.
    fixed = jax.tree.map(still, tuple(proposal))
    log_p, rest = log_joint(params, still(z))
    through = log_joint(jax.tree.map(still, params), z)[0] - log_density(z, *fixed)
    value, gradient = jnp.zeros(z.shape[1]), jnp.zeros(z.shape[1])
    log_w = still(log_p - log_density(z, *fixed))
    for share, *parts in zip(shares, *(jnp.split(x, num_bounds) for x in (log_p, through, log_w))):
        of_decoder, of_latents, w = parts
        normalised = jax.nn.softmax(w, axis=0)
        value += share * bound(w)
        gradient += share * jnp.sum(normalised * of_decoder + normalised**2 * of_latents, axis=0)
    return value + gradient - still(gradient), log_w, rest


def log_normal(z: jax.Array, mean: jax.Array, log_var: jax.Array) -> jax.Array:
    """Log-density of independent normals at z, summed over the last axis, in nats."""
    return -0.5 * jnp.sum((z - mean) ** 2 * jnp.exp(-log_var) + log_var + math.log(2 * math.pi), axis=-1)


def log_standard_normal(z: jax.Array) -> jax.Array:
    """Log-density of the standard normal at z, summed over the last axis, in nats."""
    return -0.5 * jnp.sum(z**2 + math.log(2 * math.pi), axis=-1)
