"""The objective families on networks small enough to know the answer, and what every family promises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from objective_parts import GRID, LATENT, PRESENT, SIZE, X, initial, loss_of, make
from tiny import Training, config

from mmgen_jax.objectives import adversarial, recognition, reconstruction, variational
from mmgen_jax.objectives.parts import losses
from mmgen_jax.objectives.parts.masks import example_weights, zero_masked

# What every family promises


@pytest.mark.slow
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
    (adversarial, "generator", {"loss_type": "non_saturating"}),
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
        (variational, {"prior": "learnt"}, "expected one of standard, conditional, mixture, got 'learnt'"),
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


@pytest.mark.parametrize(
    "loss_type, fields",
    [*(pytest.param(loss_type, {}, marks=pytest.mark.slow) for loss_type in losses.ADVERSARIAL), *OPTIONS],
)
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


@pytest.mark.slow
def test_the_terms_of_the_discriminator_add_up():
    batch = {"sound": X, "digit": np.arange(6, dtype=np.int32) % 3}
    state = initial(make(adversarial, conditional=True), batch)

    def value(**fields):
        return loss_of(
            make(adversarial, conditional=True, loss_type="wasserstein", **fields), batch, "discriminator", state=state
        )

    plain, metrics = value()
    # `atol`: the difference of two logits of about 0.1 is 40 times smaller than each.
    np.testing.assert_allclose(plain, metrics["logits_fake"] - metrics["logits_real"], rtol=1e-5, atol=1e-7)
    for name, weight in (("gradient_penalty", 10.0), ("r1", 3.0)):
        total, metrics = value(**{name: weight})
        np.testing.assert_allclose(total, plain + weight * metrics[name], rtol=1e-5, atol=1e-7)
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
    latents = objective.network.apply(variables, noise, method="draw")
    decoded = objective.network.apply(variables, latents, method="generate")[..., 0]  # linear in the latent
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
