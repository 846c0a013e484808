"""Diffusion against problems whose velocity is known, and guidance against its formula."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from diffusion_parts import (
    BATCH,
    DIGIT,
    DIGITS,
    EXACT,
    PRESENT,
    SHAPE,
    Exact,
    Recorder,
    X,
    assert_equal,
    initial,
    make,
    value_and_grad,
)

from mmgen_jax.networks.layers import randomness
from mmgen_jax.objectives import diffusion

# Known velocities


@pytest.mark.parametrize("path", diffusion.PATHS)
@pytest.mark.parametrize("prediction", diffusion.PREDICTIONS)
@pytest.mark.parametrize("times, logit_mean", [("uniform", 0.0), ("logit_normal", 0.0), ("logit_normal", -1.0)])
def test_loss_of_the_best_prediction_is_the_variance_that_no_prediction_explains(path, prediction, times, logit_mean):
    mean, std, num = 0.3, 0.2, 4096
    fields = {"path": path, "prediction": prediction, "times": times, "logit_mean": logit_mean}
    objective = make(Exact(mean, std, path, prediction), **fields)
    x = mean + std * np.random.default_rng(1).normal(size=(num, *SHAPE)).astype(np.float32)
    value, grads = value_and_grad(objective, EXACT, {"image": x})
    t = (np.arange(20_000) + 0.5) / 20_000  # quantiles of the uniform distribution
    if times == "logit_normal":
        normal = np.sort(np.random.default_rng(2).normal(size=400_000))
        t = 1 / (1 + np.exp(-logit_mean - normal))
    a, s, da, ds = (np.asarray(part) for part in diffusion.PATHS[path](jnp.asarray(t)))
    # The target is p x + q e: what is left of its variance once z = a x + s e is known.
    p, q = (np.zeros_like(t), np.ones_like(t)) if prediction == "noise" else (da, ds)
    if prediction == "data":  # the velocity that x implies, where e is (z - a x) / s
        p, q = da - ds * a / np.maximum(s, diffusion.MIN_S), np.zeros_like(t)
    left = (p * std) ** 2 + q**2 - (p * a * std**2 + q * s) ** 2 / ((a * std) ** 2 + s**2)
    np.testing.assert_allclose(value, left.mean(), rtol=0.05)
    slope = np.mean(p**2) if prediction == "data" else 1  # of the loss, by the square of what is added to the best
    assert abs(float(grads["generator"]["offset"])) < 0.05 * slope


@pytest.mark.parametrize("path", diffusion.PATHS)
def test_derivatives_of_the_paths(path):
    t = jnp.linspace(0.05, 0.95, 7)
    (_, _, da, ds), tangents = jax.jvp(diffusion.PATHS[path], (t,), (jnp.ones_like(t),))
    np.testing.assert_allclose(tangents[0], da, atol=1e-6)
    np.testing.assert_allclose(tangents[1], ds, atol=1e-6)
    ends = np.asarray(diffusion.PATHS[path](jnp.array([0.0, 1.0]))[:2])
    np.testing.assert_allclose(ends, [[0, 1], [1, 0]], atol=1e-6)


def drawn(steps, solver, **fields):
    """Samples of a Gaussian's exact velocity, and what the exact solution makes of the same noise."""
    mean, std = 0.1, 0.2
    objective = make(
        Exact(mean, std, fields.get("path", "linear"), fields.get("prediction", "velocity")),
        sampling_steps=steps,
        solver=solver,
        **fields,
    )
    sample = jax.jit(objective.sample)(*EXACT, BATCH, jax.random.key(3))
    return sample["image"], np.clip(mean + std * randomness.normal(jax.random.key(3), 8, SHAPE), -1, 1)


@pytest.mark.parametrize(
    "path, prediction",
    [("linear", "velocity"), ("cosine", "velocity"), ("cosine", "noise"), ("linear", "data"), ("cosine", "data")],
)
def test_samples_solve_the_differential_equation_with_the_order_of_the_solver(path, prediction):
    """A Gaussian's probability flow carries noise e to mean + std e."""
    errors = {}
    for solver in ("euler", "heun"):
        for steps in (16, 32):
            sample, exact = drawn(steps, solver, path=path, prediction=prediction)
            errors[solver, steps] = np.abs(sample - exact).max()
    assert errors["euler", 32] < 0.6 * errors["euler", 16] < 0.1
    assert errors["heun", 32] < 0.45 * errors["heun", 16]
    assert errors["heun", 16] < 0.8 * errors["euler", 16]


@pytest.mark.parametrize("path, prediction", [("linear", "velocity"), ("linear", "data"), ("cosine", "noise")])
@pytest.mark.parametrize("solver", ["euler", "heun"])
def test_all_noise_is_carried_to_a_point_mass(path, prediction, solver):
    generator = Exact(0.6, 0.0, path, prediction)
    objective = make(generator, path=path, prediction=prediction, solver=solver, sampling_steps=64)
    sample = objective.sample(*EXACT, BATCH, jax.random.key(0))
    # On the straight path the last step of Euler lands on it.
    np.testing.assert_allclose(sample["image"], 0.6, atol=1e-5 if path == "linear" else 0.05)


# Conditions


def test_guidance_is_the_prediction_without_conditions_plus_so_many_times_the_difference():
    state = initial(make(conditional=True))
    z, time = jnp.asarray(X), jnp.linspace(0.1, 0.9, 8)
    given = jax.jit(make(conditional=True).velocity(*state, BATCH))(z, time)
    without = jax.jit(make(conditional=True).velocity(*state, {"image": X}))(z, time)
    assert np.abs(given - without).max() > 1e-2
    for guidance in (0.0, 2.5):
        objective = make(conditional=True, condition_dropout=0.1, guidance=guidance)
        guided = jax.jit(objective.velocity(*state, BATCH))(z, time)
        np.testing.assert_allclose(guided, without + guidance * (given - without), atol=1e-5)


@pytest.mark.parametrize("path", diffusion.PATHS)
def test_predicted_data_is_guided_as_its_velocity_is(path):
    """Velocity is affine in the data, so that it does not matter which of the two is extrapolated."""
    fields = {"path": path, "prediction": "data"}
    state = initial(make(conditional=True, **fields))
    z, time = jnp.asarray(X), jnp.linspace(0.1, 0.9, 8)
    given = make(conditional=True, **fields).velocity(*state, BATCH)(z, time)
    without = make(conditional=True, **fields).velocity(*state, {"image": X})(z, time)
    guided = make(conditional=True, condition_dropout=0.1, guidance=2.5, **fields).velocity(*state, BATCH)(z, time)
    np.testing.assert_allclose(guided, without + 2.5 * (given - without), atol=1e-4)


@pytest.mark.parametrize("path", diffusion.PATHS)
def test_the_loss_of_predicted_data_is_that_of_its_velocity(path):
    """Where s is not small, in a velocity that the sampler makes of the same prediction."""
    objective = make(Exact(0.3, 0.2, path, "data"), path=path, prediction="data", logit_mean=-3.0)
    moved = {"generator": {"generator": {"offset": jnp.full((), 0.1)}}}, EXACT[1]
    x = np.broadcast_to(np.float32(0.3), (512, *SHAPE))
    value, _ = value_and_grad(objective, moved, {"image": x})
    seen = make(Exact(0.3, 0.2, path, "velocity"), path=path, logit_mean=-3.0)  # of the same times and noise
    best, _ = value_and_grad(seen, EXACT, {"image": x})
    time = jax.nn.sigmoid(-3.0 + randomness.normal(jax.random.key(1), 4096, ()))
    z = jnp.zeros((4096, *SHAPE))
    added = objective.velocity(*moved, {"image": z})(z, time) - objective.velocity(*EXACT, {"image": z})(z, time)
    np.testing.assert_allclose(value - best, jnp.mean(added**2), rtol=0.1)


def test_without_guidance_the_velocity_is_the_conditional_one():
    objective = make(conditional=True)
    params, collections = initial(objective)
    z, time = jnp.asarray(X), jnp.linspace(0.1, 0.9, 8)
    expected = objective.network.apply({"params": params["generator"]}, BATCH, z, time)
    np.testing.assert_array_equal(objective.velocity(params, collections, BATCH)(z, time), expected)


def test_dropped_conditions_are_absent_ones():
    state = initial(make(conditional=True))
    always = make(conditional=True, condition_dropout=1 - 1e-7)
    given = value_and_grad(make(conditional=True), state, BATCH)
    dropped = value_and_grad(always, state, BATCH)
    assert_equal(dropped, value_and_grad(always, state, {"image": X}))
    assert float(given[0]) != float(dropped[0])


def test_an_example_loses_all_of_its_conditions_or_none():
    objective = make(Recorder(), conditional=True, condition_dropout=0.25)
    num = 2000
    batch = {"image": np.zeros((num, *SHAPE), np.float32), "digit": np.zeros(num, np.int32)}
    batch["letter"], batch["letter/mask"] = batch["digit"], np.arange(num) < num // 2
    state = initial(objective, BATCH)
    objective.loss("generator", *state, batch, jax.random.key(0))
    digit, letter = np.asarray(Recorder.calls[-1]).T
    np.testing.assert_array_equal(letter, digit & batch["letter/mask"])
    assert abs(digit.mean() - 0.75) < 0.03


def test_a_sample_does_not_depend_on_the_target_in_the_batch():
    objective = make(conditional=True, condition_dropout=0.1, guidance=2.0, sampling_steps=3)
    state = initial(objective)
    first, again, other = (
        jax.jit(objective.sample)(*state, batch, jax.random.key(0))["image"]
        for batch in (BATCH, BATCH | {"image": X[::-1]}, BATCH | {"digit": DIGITS[::-1]})
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other) and np.abs(first).max() <= 1


@pytest.mark.parametrize("garbage", [0.5, np.nan])
def test_a_masked_target_does_not_contribute(garbage):
    objective = make()
    state = initial(objective)
    spoiled = np.where(PRESENT[:, None, None, None], X, garbage).astype(np.float32)
    expected = value_and_grad(objective, state, {"image": X, "image/mask": PRESENT})
    assert_equal(value_and_grad(objective, state, {"image": spoiled, "image/mask": PRESENT}), expected)
    assert float(expected[0]) != float(value_and_grad(objective, state, {"image": X})[0])


@pytest.mark.parametrize(
    "fields, expected",
    [
        ({"path": "straight"}, "path: expected one of linear, cosine, got 'straight'"),
        ({"times": "uniform", "logit_mean": -1.0}, "logit_mean: expected 0 with times 'uniform', got -1.0"),
        ({"prediction": "x"}, "prediction: expected one of velocity, noise, data"),
        ({"solver": "rk4"}, "solver: expected one of euler, heun"),
        ({"sampling_steps": 0}, "sampling_steps: expected at least 1"),
        ({"condition_dropout": 1.0, "conditional": True}, "condition_dropout: expected in [0, 1)"),
        ({"guidance": 2.0}, "need conditions, got no encoders"),
        ({"guidance": 2.0, "conditional": True}, "trained with objective.condition_dropout"),
        ({"target": "digit", "modality": DIGIT}, "models values, and 'digit' (label) gives 1 ids of 3; choose another"),
    ],
)
def test_settings_that_do_not_exist_are_refused(fields, expected):
    with pytest.raises(ValueError) as error:
        make(**fields)
    assert expected in str(error.value)


def test_what_sampling_may_change_are_fields():
    assert set(diffusion.Objective.sampling) <= {field.name for field in dataclasses.fields(diffusion.Objective)}
