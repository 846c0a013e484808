"""Posteriors of multimodal VAEs: closed forms, and what absent modalities do to them."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmgen_jax.objectives.parts.posteriors import POSTERIORS, Experts, Mixture

RNG = np.random.default_rng(0)
PRESENT = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 0], [0, 0, 0]], bool)
MEAN = RNG.normal(size=(4, 3, 2)).astype(np.float32)
LOG_VAR = RNG.normal(size=(4, 3, 2)).astype(np.float32)
FUSED = tuple(RNG.normal(size=(2, 4, 2)).astype(np.float32))


def experts(mean=MEAN, log_var=LOG_VAR, present=PRESENT):
    return Experts(jnp.asarray(mean), jnp.asarray(log_var), jnp.asarray(present), tuple(map(jnp.asarray, FUSED)))


def product(row, members, prior):
    """Mean and log-variance of a product of normals, in float64."""
    precision = np.exp(-LOG_VAR[row, members].astype(np.float64))
    total = precision.sum(axis=0) + prior
    return (precision * MEAN[row, members]).sum(axis=0) / total, -np.log(total)


def test_products_match_their_closed_form():
    for name, prior in (("product", 1.0), ("product_of_experts", 0.0)):
        found = POSTERIORS[name].of(experts())
        for row in range(3):
            mean, log_var = product(row, np.flatnonzero(PRESENT[row]), prior)
            np.testing.assert_allclose(found.mean[row, 0], mean, rtol=1e-5)
            np.testing.assert_allclose(found.log_var[row, 0], log_var, rtol=1e-4, atol=1e-6)
        assert not np.any(found.mean[3]) and not np.any(found.log_var[3])  # the prior


def test_a_mixture_has_the_present_experts_with_equal_weights():
    found = POSTERIORS["mixture"].of(experts())
    np.testing.assert_allclose(
        np.exp(found.log_weights[:3]), PRESENT[:3] / PRESENT[:3].sum(1, keepdims=True), rtol=1e-6
    )
    z = jnp.asarray(RNG.normal(size=(5, 4, 2)), jnp.float32)
    density = np.asarray(found.log_density(z))
    for row in range(3):
        members = np.flatnonzero(PRESENT[row])
        variance = np.exp(LOG_VAR[row, members])
        squares = (np.asarray(z)[:, row, None] - MEAN[row, members]) ** 2 / variance
        normals = np.exp(-0.5 * squares.sum(-1)) / (2 * np.pi * np.sqrt(variance.prod(-1)))
        np.testing.assert_allclose(density[:, row], np.log(normals.mean(axis=1)), rtol=1e-4, atol=1e-5)


def test_a_mixture_of_products_has_every_subset_of_the_present_experts():
    found = POSTERIORS["mixture_of_products"].of(experts())
    subsets = list(itertools.product((0, 1), repeat=3))[1:]
    assert found.mean.shape == (4, 7, 2)
    for row in range(3):
        valid = [all(PRESENT[row][i] for i in range(3) if subset[i]) for subset in subsets]
        np.testing.assert_allclose(np.exp(found.log_weights[row]), np.array(valid) / sum(valid), rtol=1e-6)
        for place in np.flatnonzero(valid):
            mean, log_var = product(row, np.flatnonzero(subsets[place]), 0.0)
            np.testing.assert_allclose(found.mean[row, place], mean, rtol=1e-4, atol=1e-6)
            np.testing.assert_allclose(found.log_var[row, place], log_var, rtol=1e-4, atol=1e-5)


def test_the_joint_encoder_is_for_whole_examples():
    found, rest = POSTERIORS["joint"].of(experts()), POSTERIORS["product_of_experts"].of(experts())
    np.testing.assert_array_equal(found.mean[0, 0], FUSED[0][0])
    np.testing.assert_array_equal(found.mean[1:], rest.mean[1:])


def test_given_one_modality_of_a_joint_posterior_its_expert_is_the_posterior():
    """The expert is trained towards the joint posterior, which has the prior in it already."""
    one = np.zeros_like(PRESENT)
    one[:, 1] = True
    found = POSTERIORS["joint"].of(experts(present=one))
    np.testing.assert_allclose(found.mean[:, 0], MEAN[:, 1], rtol=1e-5)
    np.testing.assert_allclose(found.log_var[:, 0], LOG_VAR[:, 1], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.kl(jnp.asarray(MEAN[:, 1]), jnp.asarray(LOG_VAR[:, 1])), 0, atol=1e-5)


def test_a_wide_expert_that_is_absent_leaves_the_mixture_finite():
    wide = np.where(PRESENT[..., None], LOG_VAR, np.float32(100.0))
    assert np.isfinite(POSTERIORS["mixture"].of(experts(log_var=wide)).kl()).all()


@pytest.mark.parametrize("name", POSTERIORS)
def test_the_kl_is_not_negative_and_bounds_the_true_one(name):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        drawn = experts(3 * rng.normal(size=MEAN.shape), 2 * rng.normal(size=MEAN.shape))
        assert np.all(np.asarray(POSTERIORS[name].of(drawn).kl()) >= -1e-6)
    found = POSTERIORS[name].of(experts())
    np.testing.assert_allclose(np.exp(found.log_weights).sum(axis=1), 1, rtol=1e-5)
    # By samples of the mixture: E[log q(z) - log p(z)].
    uniform, noise = RNG.random((4000, 4)).astype(np.float32), RNG.normal(size=(4000, 4, 2)).astype(np.float32)
    mean, log_var = found.component(found.chosen(jnp.asarray(uniform)))
    z = mean + jnp.exp(0.5 * log_var) * noise
    log_p = -0.5 * (z**2).sum(-1) - np.log(2 * np.pi)
    estimate = np.asarray(found.log_density(z) - log_p)
    error = estimate.std(axis=0) / len(estimate) ** 0.5
    assert np.all(np.asarray(found.kl()) >= estimate.mean(axis=0) - 4 * error - 1e-6)
    if POSTERIORS[name].is_normal:
        assert np.all(np.abs(np.asarray(found.kl()) - estimate.mean(axis=0)) <= 4 * error + 1e-6)


SLOW = ("product_of_experts",)  # a component of `mixture_of_products`


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in SLOW else [])
        for name, of in POSTERIORS.items()
        if not of.network
    ],
)
def test_an_absent_expert_has_no_influence_bitwise_and_no_gradient(name):
    other = np.where(PRESENT[..., None], MEAN, 1e6), np.where(PRESENT[..., None], LOG_VAR, 50.0)
    one, two = POSTERIORS[name].of(experts()), POSTERIORS[name].of(experts(*map(np.float32, other)))
    weights = np.asarray(one.log_weights)
    np.testing.assert_array_equal(weights, np.asarray(two.log_weights))
    used = np.isfinite(weights)[..., None]
    for a, b in ((one.mean, two.mean), (one.log_var, two.log_var)):
        np.testing.assert_array_equal(np.where(used, a, 0), np.where(used, b, 0))

    def value(mean, log_var):
        found = POSTERIORS[name].of(experts(mean, log_var))
        z = jnp.ones((2, 4, 2))
        return jnp.sum(found.kl()) + jnp.sum(found.log_density(z))

    for grad in jax.grad(value, (0, 1))(jnp.asarray(MEAN), jnp.asarray(LOG_VAR)):
        assert np.isfinite(grad).all() and not np.any(np.asarray(grad)[~PRESENT])


def test_components_are_drawn_with_their_weights_and_never_absent_ones():
    log_weights = jnp.log(jnp.array([[0.0, 0.25, 0.75, 0.0], [1.0, 0.0, 0.0, 0.0]]))
    found = Mixture(log_weights, jnp.zeros((2, 4, 1)), jnp.zeros((2, 4, 1)))
    uniform = jnp.linspace(0, 1, 1001)[:, None] * jnp.ones((1, 2))
    chosen = np.asarray(found.chosen(uniform))
    np.testing.assert_allclose(np.bincount(chosen[:, 0], minlength=4) / 1001, [0, 0.25, 0.75, 0], atol=2e-3)
    assert not chosen[:, 1].any()
