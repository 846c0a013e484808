"""Bounds by importance sampling: what they are for one sample, that more samples tighten them, and DReG's gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from multimodal_parts import BATCH, exact, initial, make
from objective_parts import LATENT, X, loss_of
from objective_parts import initial as initial_one
from objective_parts import make as make_one

from mmgen_jax.errors import ConfigError
from mmgen_jax.evaluators import importance_likelihood
from mmgen_jax.objectives import variational
from mmgen_jax.objectives.parts import importance


def test_the_bound_of_one_sample_is_its_log_weight_and_more_samples_raise_it():
    log_w = 3 * jax.random.normal(jax.random.key(0), (64, 500))
    np.testing.assert_allclose(importance.bound(log_w[:1]), log_w[0], rtol=1e-6)
    means = [float(jnp.mean(importance.bound(log_w[:k]))) for k in (1, 2, 4, 16, 64)]
    assert means == sorted(means)
    # In expectation, a mean of bounds of K samples is at most a bound of all.
    split = jnp.stack([importance.bound(w) for w in jnp.split(log_w, 8)]).mean(0)
    assert np.all(split <= importance.bound(log_w) + 1e-5)


def test_weights_that_underflow_leave_the_bound_finite():
    for shape in ((5, 3), (1, 1), (5, 1), (1, 3)):
        log_w = jnp.full(shape, -1e5).at[0, 0].set(-1e5 + 2)
        value, grad = jax.value_and_grad(lambda w: importance.bound(w).sum())(log_w)
        assert np.isfinite(value) and np.isfinite(grad).all()
        np.testing.assert_allclose(grad.sum(), shape[1], rtol=1e-5)


def test_one_weighted_sample_is_the_elbo_in_expectation():
    """The KL of the ELBO is exact, that of a weighted bound is estimated: the two agree on average over the noise."""
    many = {"sound": np.repeat(X, 2000, axis=0)}
    state = initial_one(make_one(variational), {"sound": X})
    _, plain = loss_of(make_one(variational), many, state=state)
    objective = make_one(variational)
    log_w = objective.log_weights(*state, many, jax.random.key(3), 1)
    assert log_w.shape == (len(many["sound"]), 1)
    assert abs(float(log_w.mean()) - plain["elbo"]) < 5 * float(log_w.std()) / len(log_w) ** 0.5 + 0.05


@pytest.mark.slow
def test_the_weighted_loss_is_minus_the_bound_and_averages_several_bounds():
    state = initial_one(make_one(variational), {"sound": X})
    loss, metrics = loss_of(make_one(variational, importance_samples=4), {"sound": X}, state=state)
    np.testing.assert_allclose(loss, -metrics["bound"], rtol=1e-6)
    assert metrics["bound"] > metrics["elbo"]
    # The same eight latents: two bounds of four lie between eight bounds of one and one bound of eight.
    found = {}
    for k, m in ((8, 1), (4, 2), (1, 8)):
        fields = {"importance_samples": k, "num_bounds": m}
        found[k] = loss_of(make_one(variational, **fields), {"sound": X}, state=state)[1]["bound"]
    assert found[1] < found[4] < found[8]
    fields = {"importance_samples": 4, "doubly_reparameterized": True}
    doubly, _ = loss_of(make_one(variational, **fields), {"sound": X}, state=state)
    np.testing.assert_allclose(doubly, loss, rtol=1e-5)
    with pytest.raises(ConfigError, match="importance_samples: a bound that weighs its samples has no KL term"):
        make_one(variational, importance_samples=2, beta=2.0)


def gaussian_bound(params, key, doubly, num=32):
    """A bound of x = 1 under z ~ N(0, 1), x ~ N(z, 1), with the proposal N(a, exp(b)); p has a shift c."""
    z = params["a"] + jnp.exp(0.5 * params["b"]) * jax.random.normal(key, (num, 1, 1))

    def log_joint(params, z):
        x = importance.log_normal(jnp.ones((num, 1, 1)), z + params["c"], jnp.zeros((num, 1, 1)))
        return importance.log_standard_normal(z) + x, None

    proposal = (jnp.reshape(params["a"], (1, 1, 1)), jnp.reshape(params["b"], (1, 1, 1)))
    value, *_ = importance.weighted_bound(
        log_joint, params, z, importance.log_normal, proposal, doubly_reparameterized=doubly
    )
    return value[0]


def test_the_doubly_reparameterised_gradient_has_the_same_mean_and_a_smaller_variance():
    """Measured: with 32 samples the variance of the proposal's gradient falls by a factor of more than 3."""
    params = {"a": jnp.array(0.2), "b": jnp.array(-0.3), "c": jnp.array(0.1)}
    keys = jax.random.split(jax.random.key(1), 4000)
    grads = {
        doubly: jax.jit(jax.vmap(jax.grad(lambda p, k, d=doubly: gaussian_bound(p, k, d)), (None, 0)))(params, keys)
        for doubly in (False, True)
    }
    for name in params:
        usual, doubly = (np.asarray(grads[which][name], np.float64) for which in (False, True))
        error = np.hypot(usual.std(), doubly.std()) / len(keys) ** 0.5
        assert abs(usual.mean() - doubly.mean()) < 4 * error, name
    for name in ("a", "b"):
        assert np.var(grads[True][name]) < np.var(grads[False][name]) / 3, name
    # The decoder's gradient is the usual one, with the same numbers.
    np.testing.assert_allclose(grads[True]["c"], grads[False]["c"], rtol=1e-3, atol=1e-4)


class Sampler:
    """What the evaluator reads of a sampler."""

    def __init__(self, objective, state):
        self.objective, self.state = objective, state

    def log_weights(self, batch, num, chunk):
        run = jax.jit(lambda batch: self.objective.log_weights(*self.state, batch, jax.random.key(1), num, chunk))
        return np.asarray(run(batch))


def test_the_estimated_likelihood_of_a_linear_gaussian_model_is_exact():
    objective = make(posterior="product")
    params, log_p = exact()
    collections = initial(objective)[1]
    evaluator = importance_likelihood.Evaluator(target="left", num_samples=7, chunk=3)
    entry = evaluator(Sampler(objective, (params, collections)), [BATCH])["log_likelihood"]
    assert abs(entry["value"] - log_p.mean()) < 1e-3 and entry["n"] == 6
    np.testing.assert_allclose(entry["effective_samples"], 7, rtol=1e-3)

    # With a proposal that is wider and moved, the estimate is still right, and its error is what it says.
    moved = jax.tree.map(jnp.copy, params)
    moved["generator"]["heads_left"]["bias"] += jnp.array([0.1, -0.1, 0.3, 0.3])
    evaluator = importance_likelihood.Evaluator(target="left", num_samples=20_000, chunk=2_000)
    entry = evaluator(Sampler(objective, (moved, collections)), [BATCH])["log_likelihood"]
    assert abs(entry["value"] - log_p.mean()) < max(4 * entry["sampling_error"], 1e-3) < 0.01
    assert entry["elbo"] < entry["value"] and 1000 < entry["effective_samples"] < 20_000
    assert LATENT == 2
