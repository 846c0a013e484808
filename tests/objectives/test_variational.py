"""The variational family: the bound of a linear Gaussian model in closed form, and its parts."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from objective_parts import GRID, LATENT, SIZE, X, initial, loss_of, make

from mmgen_jax.errors import ConfigError
from mmgen_jax.objectives import variational
from mmgen_jax.objectives.parts import losses


def with_dense(params, **layers):
    """The parameters with the named layers' kernels and biases replaced: `name=(kernel, bias)`."""
    values = {
        name: {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)} for name, (kernel, bias) in layers.items()
    }
    generator = dict(params["generator"])
    for name, value in values.items():
        inner = generator[name]
        generator[name] = {"Dense_0": value} if "Dense_0" in inner else value
        assert jax.tree.map(jnp.shape, generator[name]) == jax.tree.map(jnp.shape, inner)
    return {"generator": generator}


def test_elbo_of_a_linear_gaussian_model():
    """`x = W z + b + scale · noise`, W's columns orthogonal, so that the posterior has a diagonal covariance.

    With the exact posterior the bound is the log-likelihood; with another it is less by the KL between the two.
    """
    scale = 0.5
    columns = np.linalg.qr(np.random.default_rng(3).normal(size=(SIZE, LATENT)))[0]
    w, b = columns * [1.5, 0.4], np.array([0.1, -0.2, 0.3, 0.0])
    x = np.array([0.8, -0.5, 0.2, 0.4])
    covariance = w @ w.T + scale**2 * np.eye(SIZE)
    log_likelihood = -0.5 * (
        (x - b) @ np.linalg.solve(covariance, x - b) + np.linalg.slogdet(2 * np.pi * covariance)[1]
    )
    variance = 1 / (1 + np.sum(w**2, axis=0) / scale**2)  # of the posterior, whose mean is kernel.T @ (x - b)
    kernel = w * variance / scale**2
    objective = make(variational, scale=scale)
    num = 20_000
    batch = {"sound": np.tile(x.astype(np.float32), (num, 1))}
    params, collections = initial(objective, {"sound": batch["sound"][:2]})

    def mean_elbo(shift, log_ratio):
        """The mean over posterior samples, and its standard error, with the posterior moved and widened."""
        bias = np.concatenate([shift - b @ kernel, np.log(variance) + log_ratio])
        posterior = (np.concatenate([kernel, np.zeros_like(kernel)], axis=1), bias)
        set_params = with_dense(params, posterior=posterior, generator=(w.T, b))
        elbo = np.asarray(objective.elbo(set_params, collections, batch, jax.random.key(0)), np.float64)
        return elbo.mean(), elbo.std() / np.sqrt(num)

    mean, error = mean_elbo(np.zeros(2), np.zeros(2))
    assert abs(mean - log_likelihood) < 4 * error < 0.1
    shift, log_ratio = np.array([0.3, -0.2]), np.array([0.7, -0.4])
    gap = 0.5 * np.sum(np.exp(log_ratio) + shift**2 / variance - 1 - log_ratio)
    mean, error = mean_elbo(shift, log_ratio)
    assert abs(mean - (log_likelihood - gap)) < 4 * error < 0.1


def test_the_loss_is_minus_the_bound_and_its_parts():
    loss, metrics = loss_of(make(variational), {"sound": X})
    np.testing.assert_allclose(loss, metrics["distortion"] + metrics["kl"], rtol=1e-5)
    np.testing.assert_allclose(metrics["elbo"], -loss, rtol=1e-5)
    assert metrics["kl"] > 0


def test_beta_and_warm_up_weigh_the_kl_but_not_the_reported_bound():
    _, parts = loss_of(make(variational), {"sound": X})
    objective = make(variational, beta=4.0, warmup_steps=10)
    for step, weight in ((0, 0.4), (4, 2.0), (9, 4.0), (500, 4.0)):
        loss, metrics = loss_of(objective, {"sound": X}, step=step)
        np.testing.assert_allclose(loss, parts["distortion"] + weight * parts["kl"], rtol=1e-5)
        np.testing.assert_allclose(metrics["elbo"], parts["elbo"], rtol=1e-5)


def test_free_bits_pay_for_no_dimension_below_them():
    batch = {"sound": X}
    objective = make(variational)
    state = initial(objective, batch)
    _, parts = loss_of(objective, batch, state=state)
    _, kl, _ = objective.network.apply({"params": state[0]["generator"]}, batch, GRID, jnp.zeros((6, LATENT)))
    of_dimension = np.mean(kl, axis=0)
    between = float(np.mean(of_dimension))  # one dimension pays, the other does not
    for free_bits in (of_dimension.min() / 2, between, of_dimension.max() * 2):
        loss, _ = loss_of(dataclasses.replace(objective, free_bits=float(free_bits)), batch, state=state)
        np.testing.assert_allclose(loss, parts["distortion"] + np.maximum(of_dimension, free_bits).sum(), rtol=1e-5)


def test_a_dimension_is_active_where_its_kl_is_not_next_to_nothing():
    objective = make(variational)
    params, collections = initial(objective, {"sound": X})
    for means, expected in (([0.0, 0.0], 0.0), ([0.1, 0.2], 0.5), ([0.2, 0.2], 1.0)):  # a KL of mean² / 2
        bias = np.concatenate([means, np.zeros(LATENT)])
        state = with_dense(params, posterior=(np.zeros((SIZE, 2 * LATENT)), bias)), collections
        _, metrics = loss_of(objective, {"sound": X}, state=state)
        assert metrics["active_dimensions"] == expected


@pytest.mark.parametrize("fields", [{}, {"importance_samples": 2}], ids=str)
def test_a_dimension_is_active_under_a_mixture_where_its_posterior_means_differ(fields):
    """By a variance over the examples of more than 0.01, whatever the mean; also in a weighted bound."""
    fields = fields | {"prior": "mixture"}
    objective = make(variational, **fields)
    params, collections = initial(objective, {"sound": X})
    for spreads, expected in (([0.0, 0.0], 0.0), ([0.05, 0.2], 0.5), ([0.2, 0.2], 1.0)):
        kernel = np.zeros((SIZE, 2 * LATENT))
        kernel[0, :LATENT] = np.array(spreads) / np.std(X[:, 0])
        bias = np.concatenate([np.full(LATENT, 3.0), np.zeros(LATENT)])
        state = with_dense(params, posterior=(kernel, bias)), collections
        _, metrics = loss_of(objective, {"sound": X}, state=state)
        assert metrics["active_dimensions"] == expected


def test_a_conditional_prior_is_what_the_posterior_pays_for_and_samples_are_drawn_from():
    objective = make(variational, conditional=True, prior="conditional", scale=0.5)
    batch = {"sound": X, "digit": np.arange(6, dtype=np.int32) % 3}
    params, collections = initial(objective, batch)
    hidden, zeros = SIZE + 8, np.zeros(2 * LATENT)
    bias = np.concatenate([[0.6, -0.3], np.log([0.01, 0.04])])  # mean and log-variance, whatever the condition
    same = with_dense(params, posterior=(np.zeros((hidden, 2 * LATENT)), bias), prior=(np.zeros((8, 2 * LATENT)), bias))
    loss, metrics = loss_of(objective, batch, state=(same, collections))
    np.testing.assert_allclose(metrics["kl"], 0, atol=1e-6)
    np.testing.assert_allclose(loss, metrics["distortion"], rtol=1e-6)
    standard = with_dense(same, prior=(np.zeros((8, 2 * LATENT)), zeros))
    _, metrics = loss_of(objective, batch, state=(standard, collections))
    expected = losses.kl_standard_normal(bias[:LATENT], bias[LATENT:]).sum()
    np.testing.assert_allclose(metrics["kl"], expected, rtol=1e-5)

    weights, wide = np.eye(LATENT + 8, SIZE), {k: np.repeat(v, 2000, axis=0) for k, v in batch.items()}
    drawn = objective.sample(
        with_dense(same, generator=(weights, np.zeros(SIZE))), collections, wide, jax.random.key(1)
    )
    latents = drawn["sound"][:, :LATENT]
    np.testing.assert_allclose(latents.mean(0), bias[:LATENT], atol=0.01)
    np.testing.assert_allclose(latents.std(0), [0.1, 0.2], rtol=0.05)


def mixture(params, logits, mean, log_var):
    arrays = {"mixture_logits": logits, "mixture_mean": mean, "mixture_log_var": log_var}
    own = {name: jnp.asarray(array, jnp.float32) for name, array in arrays.items()}
    return {"generator": {**params["generator"], **own}}


def test_a_mixture_as_prior_is_what_the_posterior_pays_for_and_samples_are_drawn_from():
    objective = make(variational, prior="mixture", num_components=2)
    wide = {"sound": np.repeat(X[:1], 20_000, axis=0)}
    params, collections = initial(objective, {"sound": X})
    post = np.concatenate([[0.6, -0.3], np.log([0.09, 0.25])])  # mean and log-variance for every example
    params = with_dense(params, posterior=(np.zeros((SIZE, 2 * LATENT)), post))
    one, far = np.array([0.2, 0.1]), np.array([5.0, -5.0])
    means, log_vars = np.stack([one, far]), np.log([[0.5, 0.8], [0.01, 0.04]])
    # With all its weight on one component, the mixture's KL is that of two normals.
    _, metrics = loss_of(objective, wide, state=(mixture(params, [40.0, 0.0], means, log_vars), collections))
    expected = losses.kl_normal(post[:LATENT], post[LATENT:], one, log_vars[0]).sum()
    np.testing.assert_allclose(metrics["kl"], expected, rtol=0.02)

    params = mixture(params, np.log([0.25, 0.75]), means, log_vars)
    latents = np.asarray(objective.draw_latent(params, collections, wide, jax.random.key(1)))
    second = np.abs(latents - far).max(axis=1) < 2
    np.testing.assert_allclose(second.mean(), 0.75, atol=0.015)
    np.testing.assert_allclose(latents[second].mean(0), far, atol=0.02)
    np.testing.assert_allclose(latents[second].std(0), [0.1, 0.2], rtol=0.05)
    with pytest.raises(ConfigError, match="free_bits: the KL of a mixture has no part for each dimension"):
        make(variational, prior="mixture", free_bits=0.1)


@pytest.mark.parametrize("likelihood", variational.LIKELIHOODS)
def test_samples_are_means_in_range(likelihood):
    objective = make(variational, likelihood=likelihood)
    params, collections = initial(objective, {"sound": X})
    large = jax.tree.map(lambda leaf: 20 * leaf, params)
    for sample in (
        objective.sample(large, collections, {"sound": X}, jax.random.key(0)),
        objective.reconstruct(large, collections, {"sound": X}, jax.random.key(0)),
    ):
        assert sample["sound"].shape == X.shape and np.abs(sample["sound"]).max() <= 1
