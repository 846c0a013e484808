"""Normalising flows of sounds: the Jacobian, the inverse, silence, and what a sample depends on."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.stats

from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.generators import waveglow
from mmgen_jax.objectives import flow

S, HOP, B = 24, 8, 3
RNG = np.random.default_rng(0)
NETWORK = waveglow.Generator((S, 1), HOP, group=4, num_flows=3, features=6, num_layers=2)
SOUND, MEL = Modality("audio", (S,), sample_rate=8000), Modality("vector", (S // HOP + 1, 2))
WAVES = np.tanh(RNG.normal(size=(B, S))).astype(np.float32)
BATCH = {"sound": WAVES, "mel": RNG.normal(size=(B, *MEL.shape)).astype(np.float32)}
SEEN = Condition(None, None, None, {"mel": jnp.asarray(BATCH["mel"])})


@functools.cache
def network():
    """`(forward, inverse, parameters)`, these large and random; one mixing has a negative determinant."""
    variables = NETWORK.init(jax.random.key(0), WAVES[..., None], SEEN)
    keys = iter(jax.random.split(jax.random.key(1), 200))
    params = jax.tree.map(lambda leaf: leaf + 0.15 * jax.random.normal(next(keys), leaf.shape), variables["params"])
    params["mixing_0"] = _negative(params["mixing_0"])
    forward = jax.jit(functools.partial(NETWORK.apply, {"params": params}))
    inverse = jax.jit(functools.partial(NETWORK.apply, {"params": params}, method="inverse"))
    return forward, inverse, params


def _negative(matrix):
    """The matrix, with one column turned round where its determinant is positive."""
    return matrix.at[:, 0].multiply(jnp.where(jnp.linalg.det(matrix) > 0, -1.0, 1.0))


def test_log_determinant_is_that_of_the_numerical_jacobian():
    forward, _, params = network()
    assert jnp.linalg.det(params["mixing_0"]) < 0
    z, log_det = forward(WAVES[..., None], SEEN)
    one = SEEN.replace(aligned={"mel": SEEN.aligned["mel"][:1]})
    jacobian = np.zeros((S, S))
    for i in range(S):  # central differences
        step = np.zeros((1, S, 1), np.float32)
        step[0, i] = 2e-3
        above, below = (forward(WAVES[:1, :, None] + sign * step, one)[0][0, :, 0] for sign in (1, -1))
        jacobian[:, i] = (np.asarray(above, np.float64) - np.asarray(below)) / 4e-3
    assert np.linalg.slogdet(jacobian)[1] == pytest.approx(float(log_det[0]), abs=0.05)
    exact = jax.jit(jax.jacobian(lambda x: forward(x[None, :, None], one)[0][0, :, 0]))(WAVES[0])
    assert np.linalg.slogdet(np.asarray(exact, np.float64))[1] == pytest.approx(float(log_det[0]), abs=1e-3)
    density = scipy.stats.norm.logpdf(np.asarray(z, np.float64)).sum((1, 2)) + np.asarray(log_det)
    np.testing.assert_allclose(flow.log_likelihood(z, log_det), density, rtol=1e-5)


def test_a_mixing_counts_once_for_every_place():
    """Couplings that change nothing, as at initialisation: the determinant of one matrix, times places."""
    variables = NETWORK.init(jax.random.key(0), WAVES[..., None], SEEN)
    params = variables["params"] | {"mixing_1": 2.0 * _negative(variables["params"]["mixing_1"])}
    _, log_det = NETWORK.apply({"params": params}, WAVES[..., None], SEEN)
    np.testing.assert_allclose(log_det, S // 4 * 4 * np.log(2.0), rtol=1e-5)


def test_the_inverse_gives_the_sound_back():
    forward, inverse, _ = network()
    z, _ = forward(WAVES[..., None], SEEN)
    assert np.abs(z - WAVES[..., None]).max() > 0.1
    np.testing.assert_allclose(inverse(z, SEEN), WAVES[..., None], atol=1e-4)


def test_silence_has_a_finite_likelihood():
    forward, _, _ = network()
    z, log_det = forward(np.zeros((B, S, 1), np.float32), SEEN)
    assert np.isfinite(z).all() and np.isfinite(log_det).all()


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"group": 3}, "waveglow.group: expected an even divisor"),
        ({"group": 10}, "waveglow.group: .* got 10"),
        ({"hop_length": 6}, "a hop_length that group 4 divides"),
        ({"hop_length": 0}, "a hop_length that group 4 divides"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        jax.eval_shape(NETWORK.clone(**fields).init, jax.random.key(0), WAVES[..., None], SEEN)


# The objective


def objective(**fields):
    given = {
        "target": "sound",
        "modality": SOUND,
        "modalities": {"sound": SOUND, "mel": MEL},
        "conditioner": Conditioner({}, None, {}, {"mel": MEL}, aligned=("mel",)),
        "generator": NETWORK,
    }
    return flow.Objective(**given | fields)


@functools.cache
def trained():
    """Parameters after 60 steps, the first and the last loss."""
    made = objective(segment=16)
    params = {"generator": jax.jit(made.init)(jax.random.key(0), BATCH)["generator"]["params"]}
    optimizer = optax.adam(1e-2)

    @jax.jit
    def step(carry, seed):
        params, state = carry
        value, grads = jax.value_and_grad(
            lambda params: made.loss("generator", params, {"generator": {}}, BATCH, jax.random.key(seed))[0]
        )(params)
        updates, state = optimizer.update(grads, state)
        return (optax.apply_updates(params, updates), state), value

    (params, _), values = jax.lax.scan(step, (params, optimizer.init(params)), jnp.arange(60))
    return params, {"generator": {}}, values


@pytest.mark.slow
def test_training_raises_the_likelihood_and_keeps_the_inverse():
    params, collections, values = trained()
    assert values[-5:].mean() < values[:5].mean() - 0.1
    made = objective()
    network = made.network
    z, _ = network.apply({"params": params["generator"]}, BATCH, WAVES[..., None])
    back = network.apply({"params": params["generator"]}, BATCH, z, method="inverse")
    np.testing.assert_allclose(back, WAVES[..., None], atol=1e-4)
    nats = made.elbo(params, collections, BATCH, jax.random.key(0))
    loss = made.loss("generator", params, collections, BATCH, jax.random.key(0))[0]
    assert loss == pytest.approx(-float(nats.mean()) / S, abs=0.02)  # of other noise


@pytest.mark.slow
def test_a_masked_sound_has_no_influence():
    params, collections, _ = trained()
    made, mask = objective(), np.array([True, False, True])
    spoilt = BATCH | {"sound/mask": mask, "sound": np.where(mask[:, None], WAVES, np.nan)}
    value = made.loss("generator", params, collections, spoilt, jax.random.key(0))[0]
    other = made.loss("generator", params, collections, BATCH | {"sound/mask": mask}, jax.random.key(0))[0]
    assert np.isfinite(value) and value == other


@pytest.mark.slow
def test_a_sample_follows_its_noise_and_its_frames_and_not_the_target():
    params, collections, _ = trained()
    draw = jax.jit(objective().sample)
    drawn = draw(params, collections, BATCH, jax.random.key(0))["sound"]
    assert drawn.shape == (B, S) and np.abs(drawn).max() <= 1
    np.testing.assert_array_equal(
        drawn, draw(params, collections, BATCH | {"sound": -WAVES}, jax.random.key(0))["sound"]
    )
    assert np.abs(drawn - draw(params, collections, BATCH, jax.random.key(1))["sound"]).max() > 1e-3
    calm = objective(temperature=0.0)
    one, two = (calm.sample(params, collections, BATCH, jax.random.key(seed))["sound"] for seed in (0, 1))
    np.testing.assert_array_equal(one, two)
