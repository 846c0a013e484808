"""Losses against their closed forms, numerical integration and each other."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from mmgen_jax.networks.layers import convolution
from mmgen_jax.objectives.parts import losses

REAL = np.array([-2.0, 0.0, 0.5, 3.0], np.float32)
FAKE = np.array([-3.0, 0.0, 0.5, 2.0], np.float32)


def log_sigmoid(x):
    return -np.log1p(np.exp(-x))


EXPECTED = {  # (discriminator, generator), written as in their papers
    "hinge": (np.maximum(0, 1 - REAL) + np.maximum(0, 1 + FAKE), -FAKE),
    "non_saturating": (-log_sigmoid(REAL) - log_sigmoid(-FAKE), -log_sigmoid(FAKE)),
    "least_squares": ((REAL - 1) ** 2 / 2 + FAKE**2 / 2, (FAKE - 1) ** 2 / 2),
    "wasserstein": (FAKE - REAL, -FAKE),
}


def test_every_adversarial_loss_has_its_closed_form_here():
    assert set(EXPECTED) == set(losses.ADVERSARIAL)


@pytest.mark.parametrize("name", EXPECTED)
def test_adversarial_losses(name):
    loss = losses.ADVERSARIAL[name]
    np.testing.assert_allclose(loss.discriminator(REAL, FAKE), EXPECTED[name][0], rtol=1e-6)
    np.testing.assert_allclose(loss.generator(FAKE), EXPECTED[name][1], rtol=1e-6)


def test_adversarial_losses_do_not_overflow():
    for name in ("hinge", "non_saturating"):
        loss = losses.ADVERSARIAL[name]
        values = loss.discriminator(jnp.array([-1e4, 1e4]), jnp.array([1e4, -1e4]))
        np.testing.assert_allclose(values, [2e4 + 2 * (name == "hinge"), 0.0])


def test_kl_against_numerical_integration():
    mean, log_var = np.array([0.7, -1.5, 0.0]), np.array([-1.0, 0.6, 0.0])
    x = np.linspace(-15, 15, 200_001)[:, None]
    q = np.exp(-((x - mean) ** 2) / (2 * np.exp(log_var))) / np.sqrt(2 * np.pi * np.exp(log_var))
    log_ratio = -((x - mean) ** 2) / (2 * np.exp(log_var)) - log_var / 2 + x**2 / 2
    expected = np.trapezoid(q * log_ratio, x[:, 0], axis=0)
    np.testing.assert_allclose(losses.kl_standard_normal(mean, log_var), expected, atol=1e-5)
    assert losses.kl_standard_normal(0.0, 0.0) == 0
    np.testing.assert_allclose(losses.kl_normal(mean, log_var, 0.0, 0.0), expected, atol=1e-5)
    # Both moved and stretched alike, two normals are as far from each other as before.
    moved, wider = 3 * mean + 2, log_var + 2 * np.log(3)
    np.testing.assert_allclose(losses.kl_normal(moved, wider, 2.0, 2 * np.log(3)), expected, atol=1e-5)


@pytest.mark.parametrize("nll", [losses.gaussian_nll, losses.laplace_nll])
def test_densities_integrate_to_one_and_peak_at_the_output(nll):
    x = np.linspace(-20, 20, 400_001)
    density = np.exp(-np.asarray(nll(0.3, jnp.asarray(x), 0.5), np.float64))
    np.testing.assert_allclose(np.trapezoid(density, x), 1.0, atol=1e-4)
    assert abs(x[density.argmax()] - 0.3) < 1e-3


def test_the_density_of_a_mixture_equals_scipys():
    rng = np.random.default_rng(0)
    z, mean, log_var = rng.normal(size=(5, 3)), rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    logits = rng.normal(size=4)
    logs = [stats.norm.logpdf(z, m, np.exp(0.5 * v)).sum(1) for m, v in zip(mean, log_var)]
    expected = special.logsumexp(special.log_softmax(logits)[:, None] + np.array(logs), axis=0)
    np.testing.assert_allclose(losses.mixture_log_density(z, logits, mean, log_var), expected, rtol=1e-5)


def test_bernoulli_sums_to_one_and_is_linear_in_the_target():
    logits = jnp.array([-3.0, 0.0, 2.0])
    probabilities = [np.exp(-losses.bernoulli_nll(logits, jnp.full(3, target))) for target in (-1.0, 1.0)]
    np.testing.assert_allclose(sum(probabilities), 1.0, rtol=1e-6)
    np.testing.assert_allclose(probabilities[1], jax.nn.sigmoid(logits), rtol=1e-6)
    ends = [losses.bernoulli_nll(logits, target) for target in (-1.0, 1.0)]
    np.testing.assert_allclose(losses.bernoulli_nll(logits, 0.5), 0.25 * ends[0] + 0.75 * ends[1], rtol=1e-6)


def test_per_example_sums_everything_else():
    x = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(losses.per_example(jnp.asarray(x)), x.sum((1, 2)))


def test_penalties_of_a_linear_critic():
    """The gradient of <w, x> is w wherever it is taken."""
    w = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)

    def critic(x):
        return jnp.sum(w * x, axis=(1, 2))

    x, y = np.random.default_rng(1).normal(size=(2, 4, 2, 3)).astype(np.float32)
    norm = np.linalg.norm(w)
    np.testing.assert_allclose(losses.gradient_norms(critic, x), norm, rtol=1e-6)
    np.testing.assert_allclose(losses.gradient_penalty(critic, x, y, np.zeros(4)), (norm - 1) ** 2, rtol=1e-5)
    np.testing.assert_allclose(losses.r1(critic, x), norm**2 / 2, rtol=1e-6)


def test_where_the_gradient_penalty_is_taken():
    """The gradient of ||x||^2 / 2 is x, so the penalty shows the point between real and fake."""
    real, fake = np.array([[3.0, 0.0], [3.0, 0.0]], np.float32), np.array([[0.0, 4.0], [0.0, 4.0]], np.float32)
    penalty = losses.gradient_penalty(lambda x: jnp.sum(x**2, axis=1) / 2, real, fake, jnp.array([1.0, 0.5]))
    np.testing.assert_allclose(penalty, [(3 - 1) ** 2, (2.5 - 1) ** 2], rtol=1e-5)


def test_a_flat_critic_has_finite_second_derivatives():
    """At a zero gradient the norm itself has none: the penalty is smoothed there."""

    def penalty(w):
        return jnp.sum(
            losses.gradient_penalty(lambda x: jnp.sum(w * x, axis=1), jnp.ones((2, 3)), jnp.zeros((2, 3)), jnp.ones(2))
        )

    assert np.isfinite(jax.grad(penalty)(jnp.zeros(3))).all()


class Critic(nn.Module):
    lowering: str

    @nn.compact
    def __call__(self, x):
        x = nn.leaky_relu(convolution.Conv(4, 4, 2, lowering=self.lowering)(x), 0.2)
        x = nn.leaky_relu(convolution.ConvTranspose(3, 4, 2, lowering=self.lowering)(x), 0.2)
        return nn.Dense(1)(x.reshape(x.shape[0], -1))[:, 0]


@pytest.mark.slow
@pytest.mark.parametrize("penalty", ["gradient_penalty", "r1"])
@pytest.mark.parametrize("grid,left_out", [((8, 8), {"frames"}), ((4, 4, 4), set())], ids=["images", "clips"])
def test_penalties_have_the_same_gradient_in_every_lowering(penalty, grid, left_out):
    """The derivative of a derivative of the convolution, whose derivatives are written by hand in some lowerings."""
    real, fake = np.random.default_rng(0).normal(size=(2, 3, *grid, 2)).astype(np.float32)
    params = Critic("xla").init(jax.random.key(0), real)

    def loss(params, lowering):
        def critic(x):
            return Critic(lowering).apply(params, x)

        if penalty == "r1":
            return jnp.mean(losses.r1(critic, real))
        return jnp.mean(losses.gradient_penalty(critic, real, fake, jnp.array([0.1, 0.5, 0.9])))

    expected = jax.grad(loss)(params, "xla")
    assert all(np.abs(leaf).max() > 1e-4 for leaf in jax.tree.leaves(expected) if leaf.ndim > 1)
    for lowering in set(convolution.LOWERINGS) - left_out:
        for got, want in zip(jax.tree.leaves(jax.grad(loss)(params, lowering)), jax.tree.leaves(expected)):
            np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-5, err_msg=lowering)
