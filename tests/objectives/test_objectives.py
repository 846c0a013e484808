"""The objective families on networks small enough to know the answer, and what every family promises."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import Training, config

from mmgen_jax.modalities.modality import Modality
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.networks.conditioning.tokens import Tokens
from mmgen_jax.networks.encoders import label
from mmgen_jax.networks.fusion import concat
from mmgen_jax.objectives import adversarial, recognition, reconstruction, variational
from mmgen_jax.objectives.parts import losses
from mmgen_jax.objectives.parts.masks import example_weights, zero_masked

SIZE, LATENT = 4, 2
SOUND = Modality("audio", (SIZE,), sample_rate=SIZE)
DIGIT = Modality("label", classes=("a", "b", "c"))
RNG = np.random.default_rng(0)
X = np.tanh(RNG.normal(size=(6, SIZE))).astype(np.float32)
GRID = X[..., None]  # what the families model
PRESENT = np.array([True, False, True, True, False, True])


class Encoder(nn.Module):
    """The array itself as one token."""

    @nn.compact
    def __call__(self, array, mask, train: bool = False):
        return Tokens(array.reshape(len(array), 1, -1), mask[:, None])


class Generator(nn.Module):
    """Linear in the latent and the conditions."""

    @nn.compact
    def __call__(self, latent, condition, train: bool = False):
        x = latent if condition is None else jnp.concatenate([latent, condition.pooled], axis=-1)
        return nn.Dense(SIZE)(x)[..., None]  # a sound's grid has a channel axis


class Discriminator(nn.Module):
    @nn.compact
    def __call__(self, target, condition, train: bool = False):
        flat = target.reshape(len(target), -1)
        x = flat if condition is None else jnp.concatenate([flat, condition.pooled], axis=-1)
        return nn.Dense(1)(nn.leaky_relu(nn.Dense(8)(x)))[:, 0]


def conditioner():
    encoders = {"digit": label.Encoder(num_classes=3, features=8)}
    return Conditioner(encoders, concat.Fusion(features=8), reads={"digit": "digit"}, modalities={"digit": DIGIT})


def make(family, conditional=False, **fields):
    given = {"modality": SOUND, "target": "sound", "generator": Generator()}
    if family is recognition:
        return recognition.Objective(conditioner=conditioner(), modality=DIGIT, target="digit", **fields)
    if conditional:
        given["conditioner"] = conditioner()
    given |= {"discriminator": Discriminator()} if family is adversarial else {"target_encoder": Encoder()}
    return family.Objective(**given, latent_dim=LATENT, **fields)


def initial(objective, batch, seed=0):
    """`(params, collections)`."""
    variables = jax.jit(objective.init)(jax.random.key(seed), batch)
    params = {player: tree["params"] for player, tree in variables.items()}
    return params, {player: {k: v for k, v in tree.items() if k != "params"} for player, tree in variables.items()}


def loss_of(objective, batch, player="generator", seed=0, step=0, state=None):
    params, collections = state or initial(objective, batch)
    value, (_, metrics) = objective.loss(player, params, collections, batch, jax.random.key(seed), step)
    return float(value), {name: float(metric) for name, metric in metrics.items()}


# What every family promises


@pytest.mark.parametrize("family", ["gan", "vae", "autoencoder"])
def test_a_sample_does_not_depend_on_the_target_in_the_batch(family):
    training = Training(config(family))
    batch = next(training.batches())
    created = training.init()
    state = created.params, created.collections
    sample = jax.jit(training.system.objective.sample)
    first = sample(*state, batch, jax.random.key(0))
    other = sample(*state, batch | {"image": batch["image"][::-1]}, jax.random.key(0))
    without = sample(*state, training.system.without_targets(batch), jax.random.key(0))
    np.testing.assert_array_equal(first["image"], other["image"])
    np.testing.assert_array_equal(first["image"], without["image"])
    assert not np.array_equal(first["image"], sample(*state, batch, jax.random.key(1))["image"])
    if family != "autoencoder":
        asked_otherwise = batch | {"text": np.roll(batch["text"], 1, axis=0)}
        assert not np.array_equal(first["image"], sample(*state, asked_otherwise, jax.random.key(0))["image"])


CASES = [
    (adversarial, "discriminator", {"loss_type": "non_saturating", "gradient_penalty": 1.0, "r1": 0.5}),
    (variational, "generator", {"free_bits": 0.01}),
    (variational, "generator", {"likelihood": "laplace"}),
    (reconstruction, "generator", {"error": "l1"}),
]


@pytest.mark.parametrize("family, player, fields", CASES)
@pytest.mark.parametrize("garbage", [0.5, np.nan])
def test_a_masked_target_does_not_contribute(family, player, fields, garbage):
    objective = make(family, **fields)
    state = initial(objective, {"sound": X})
    spoiled = np.where(PRESENT[:, None], X, garbage).astype(np.float32)

    def value_and_grad(batch):
        def loss(own):
            return objective.loss(player, state[0] | {player: own}, state[1], batch, jax.random.key(0))[0]

        return jax.jit(jax.value_and_grad(loss))(state[0][player])

    expected = value_and_grad({"sound": X, "sound/mask": PRESENT})
    got = value_and_grad({"sound": spoiled, "sound/mask": PRESENT})
    assert float(expected[0]) != float(value_and_grad({"sound": X})[0])
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected)):
        np.testing.assert_array_equal(a, b)


def test_example_weights_have_mean_one():
    weights = example_weights({"sound": X, "sound/mask": PRESENT}, "sound")
    np.testing.assert_allclose(weights, np.where(PRESENT, 6 / 4, 0), rtol=1e-6)
    np.testing.assert_array_equal(example_weights({"sound": X}, "sound"), np.ones(6))
    nobody = example_weights({"sound": X, "sound/mask": np.zeros(6, bool)}, "sound")
    np.testing.assert_array_equal(nobody, np.zeros(6))
    np.testing.assert_array_equal(zero_masked({"sound": X, "sound/mask": PRESENT}, "sound")[~PRESENT], 0)


@pytest.mark.parametrize(
    "family, fields, expected",
    [
        (adversarial, {"loss_type": "hing"}, "loss_type: expected one of non_saturating, hinge"),
        (adversarial, {"mismatch": 0.5}, "needs conditions to mismatch"),
        (variational, {"likelihood": "poisson"}, "expected one of bernoulli, gaussian, laplace, got 'poisson'"),
        (variational, {"scale": 0.0}, "scale: expected > 0"),
        (variational, {"prior": "learnt"}, "expected one of standard, conditional, got 'learnt'"),
        (variational, {"prior": "conditional"}, "needs encoders and a fusion"),
        (reconstruction, {"error": "l3"}, "expected one of l2, l1, got 'l3'"),
    ],
)
def test_settings_that_do_not_exist_are_refused(family, fields, expected):
    with pytest.raises(ValueError) as error:
        make(family, **fields)
    assert expected in str(error.value)


# Adversarial


OPTIONS = [("wasserstein", {"gradient_penalty": 10.0}), ("hinge", {"r1": 1.0, "mismatch": 0.5})]


@pytest.mark.parametrize("loss_type, fields", [*((loss_type, {}) for loss_type in losses.ADVERSARIAL), *OPTIONS])
def test_every_adversarial_loss_gives_both_players_a_gradient_of_their_own(loss_type, fields):
    objective = make(adversarial, conditional=True, loss_type=loss_type, **fields)
    batch = {"sound": X, "digit": np.arange(6, dtype=np.int32) % 3}
    params, collections = initial(objective, batch)
    for player in objective.players:

        def loss(params, player=player):
            return objective.loss(player, params, collections, batch, jax.random.key(0))[0]

        compiled = jax.jit(jax.value_and_grad(loss))
        value, grads = compiled(params)
        assert np.isfinite(value)
        norms = [float(jnp.linalg.norm(leaf)) for leaf in jax.tree.leaves(grads[player])]
        assert np.isfinite(norms).all() and max(norms) > 1e-3
        # One step along it lowers this player's loss.
        moved = params | {player: jax.tree.map(lambda p, g: p - 1e-3 * g, params[player], grads[player])}
        assert compiled(moved)[0] < value


def test_the_terms_of_the_discriminator_add_up():
    batch = {"sound": X, "digit": np.arange(6, dtype=np.int32) % 3}
    state = initial(make(adversarial, conditional=True), batch)

    def value(**fields):
        return loss_of(
            make(adversarial, conditional=True, loss_type="wasserstein", **fields), batch, "discriminator", state=state
        )

    plain, metrics = value()
    np.testing.assert_allclose(plain, metrics["logits_fake"] - metrics["logits_real"], rtol=1e-5)
    for name, weight in (("gradient_penalty", 10.0), ("r1", 3.0)):
        total, metrics = value(**{name: weight})
        np.testing.assert_allclose(total, plain + weight * metrics[name], rtol=1e-5)
    total, metrics = value(mismatch=0.25)
    wrong = metrics["logits_wrong"] - metrics["logits_real"]
    np.testing.assert_allclose(total, 0.75 * plain + 0.25 * wrong, rtol=1e-4)


def test_the_wrong_pairs_are_another_examples_conditions():
    """With one condition for all, the wrong pair is the right one; and a target is never another's."""
    objective = make(adversarial, conditional=True, mismatch=0.5)
    same = {"sound": X, "digit": np.ones(6, np.int32)}
    _, metrics = loss_of(objective, same, "discriminator")
    np.testing.assert_allclose(metrics["logits_wrong"], metrics["logits_real"], rtol=1e-6)
    _, metrics = loss_of(objective, same | {"digit": np.arange(6, dtype=np.int32) % 3}, "discriminator")
    assert abs(metrics["logits_wrong"] - metrics["logits_real"]) > 1e-3


# Variational


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
    _, kl = objective.network.apply({"params": state[0]["generator"]}, batch, GRID, jnp.zeros((6, LATENT)))
    of_dimension = np.mean(kl, axis=0)
    between = float(np.mean(of_dimension))  # one dimension pays, the other does not
    for free_bits in (of_dimension.min() / 2, between, of_dimension.max() * 2):
        loss, _ = loss_of(dataclasses.replace(objective, free_bits=float(free_bits)), batch, state=state)
        np.testing.assert_allclose(loss, parts["distortion"] + np.maximum(of_dimension, free_bits).sum(), rtol=1e-5)


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


# Reconstruction


def test_autoencoder_fits_a_gaussian_to_its_latents():
    """After many steps on one batch: mean and covariance of the latents, from which samples are decoded."""
    objective = make(reconstruction)
    batch = {"sound": X}
    params, collections = initial(objective, batch)
    step = jax.jit(lambda collections: objective.loss("generator", params, collections, batch, jax.random.key(0))[1][0])
    for _ in range(1500):
        collections = step(collections)
    stats = collections["generator"]["latent_stats"]
    variables = {"params": params["generator"], **collections["generator"]}
    latents = np.asarray(objective.network.apply(variables, GRID, method="encode"))
    np.testing.assert_allclose(stats["mean"], latents.mean(0), atol=1e-4)
    np.testing.assert_allclose(stats["second_moment"], latents.T @ latents / 6, atol=1e-4)

    noise = np.random.default_rng(0).normal(size=(50_000, LATENT)).astype(np.float32)
    decoded = objective.network.apply(variables, noise, method="generate")[..., 0]  # linear in the latent
    kernel, bias = params["generator"]["generator"]["Dense_0"].values()
    if kernel.ndim == 1:
        kernel, bias = bias, kernel
    np.testing.assert_allclose(decoded.mean(0), latents.mean(0) @ kernel + bias, atol=0.02)
    expected = kernel.T @ np.cov(latents.T, bias=True) @ kernel
    np.testing.assert_allclose(np.cov(np.asarray(decoded).T), expected, atol=0.02 * np.abs(expected).max() + 1e-3)


@pytest.mark.parametrize("error, expected", [("l2", lambda x: x**2), ("l1", np.abs)])
def test_reconstruction_error(error, expected):
    objective = make(reconstruction, error=error)
    state = initial(objective, {"sound": X})
    reconstructed = np.asarray(objective.reconstruct(*state, {"sound": X}, jax.random.key(0))["sound"])
    loss, metrics = loss_of(objective, {"sound": X}, state=state)
    np.testing.assert_allclose(loss, expected(reconstructed - X).sum(1).mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics["error_per_element"], loss / SIZE, rtol=1e-6)


def test_denoising_sees_noise_and_is_asked_for_the_clean_target():
    batch = {"sound": X}
    state = initial(make(reconstruction), batch)
    clean, _ = loss_of(make(reconstruction), batch, state=state)
    assert loss_of(make(reconstruction, noise=1e-6), batch, state=state)[0] == pytest.approx(clean, rel=1e-4)
    noisy = [loss_of(make(reconstruction, noise=0.5), batch, seed=seed, state=state)[0] for seed in (0, 0, 1)]
    assert noisy[0] == noisy[1] != noisy[2] and noisy[0] != clean


# Recognition


def test_cross_entropy_smoothing_and_the_likeliest_class():
    digits = np.arange(6, dtype=np.int32) % 3
    objective = make(recognition)
    batch = {"digit": digits}
    params, collections = initial(objective, batch)
    logits, _ = objective.network.apply({"params": params["classifier"]}, batch)
    log_p = np.asarray(jax.nn.log_softmax(logits["digit"]))
    for smoothing in (0.0, 0.3):
        loss, metrics = loss_of(
            make(recognition, label_smoothing=smoothing), batch, "classifier", state=(params, collections)
        )
        one_hot = np.eye(3)[digits] * (1 - smoothing) + smoothing / 3
        np.testing.assert_allclose(loss, -np.sum(one_hot * log_p, axis=1).mean(), rtol=1e-5)
        assert metrics["accuracy"] == pytest.approx(np.mean(log_p.argmax(1) == digits))
    sample = objective.sample(params, collections, batch, jax.random.key(0))["digit"]
    np.testing.assert_array_equal(sample, log_p.argmax(1))
    assert sample.dtype == jnp.int32
