"""The autoencoder around a grid: its latents, its loss, and what it stands on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from diffusion_parts import PRESENT, X
from grid_parts import IMAGE, Cells, Pixels, initial, latents
from tiny import mapped_by

from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.space import Continuous
from mmgen_jax.modalities.tokenizer import Tokenizer
from mmgen_jax.representations import identity, kl_autoencoder

ONES = np.ones(8, np.float32)
KEY = jax.random.key(0)


def test_latents_are_normalised_by_channel_and_decode_to_what_they_came_from():
    representation = latents()
    params, collections = initial(representation, X)
    step = jax.jit(lambda collections: representation.loss("autoencoder", params, collections, X, ONES, KEY)[1][0])
    for _ in range(1200):
        collections = step(collections)
    encoded = representation.encode(params, collections, X)
    assert representation.space == Continuous((2, 2, 3), bounded=False) and encoded.shape == (8, 2, 2, 3)
    np.testing.assert_allclose(np.mean(encoded, axis=(0, 1, 2)), np.zeros(3), atol=1e-3)
    np.testing.assert_allclose(np.std(encoded, axis=(0, 1, 2)), np.ones(3), atol=1e-3)
    variables = {"params": params["autoencoder"], **collections["autoencoder"]}
    mean, _ = representation.network.apply(variables, X, method="distribution")
    decoded = Pixels().apply({"params": params["autoencoder"]["target_decoder"]}, mean, None)
    np.testing.assert_allclose(representation.decode(params, collections, encoded), np.tanh(decoded), atol=1e-5)


@pytest.mark.slow
def test_with_clip_the_loss_sees_the_linear_output_and_decode_clips_it():
    representation = latents(output="clip", kl_weight=0.0)
    params, collections = initial(representation, X)
    params = jax.tree.map(lambda p: 5 * p, params)
    variables = {"params": params["autoencoder"], **collections["autoencoder"]}
    mean, log_var = representation.network.apply(variables, X, method="distribution")
    code = representation.encode(params, collections, X)
    linear = Pixels().apply({"params": params["autoencoder"]["target_decoder"]}, mean, None)
    assert np.abs(linear).max() > 1
    np.testing.assert_allclose(representation.decode(params, collections, code), np.clip(linear, -1, 1), atol=1e-4)
    bias = jnp.full_like(log_var, -1e3)  # no noise: the loss is that of the means
    quiet = jax.tree.map(lambda p: p, params)
    kernel = quiet["autoencoder"]["posterior"]["kernel"]
    quiet["autoencoder"]["posterior"] = {
        "kernel": kernel.at[:, 3:].set(0),
        "bias": jnp.concatenate([quiet["autoencoder"]["posterior"]["bias"][:3], bias[0, 0]]),
    }
    _, (_, metrics) = representation.loss("autoencoder", quiet, collections, X, ONES, KEY)
    np.testing.assert_allclose(metrics["error_per_element"], np.mean((linear - X) ** 2), rtol=1e-4)


def test_the_loss_is_the_error_and_the_weighted_divergence():
    representation = latents(kl_weight=0.25)
    state = initial(representation, X)
    loss, (_, metrics) = representation.loss("autoencoder", *state, X, ONES, KEY)
    np.testing.assert_allclose(loss, metrics["error_per_element"] + 0.25 * metrics["kl_per_element"], rtol=1e-6)
    variables = {"params": state[0]["autoencoder"], **state[1]["autoencoder"]}
    mean, log_var = representation.network.apply(variables, X, method="distribution")
    kl = 0.5 * np.mean(np.exp(log_var) + mean**2 - 1 - log_var)
    np.testing.assert_allclose(metrics["kl_per_element"], kl, rtol=1e-5)


def test_examples_without_weight_leave_no_trace():
    representation = latents()
    state = initial(representation, X)
    weights = np.where(PRESENT, 8 / PRESENT.sum(), 0).astype(np.float32)
    spoiled = np.where(PRESENT[:, None, None, None], X, 0.5).astype(np.float32)
    expected, got = (representation.loss("autoencoder", *state, x, weights, KEY) for x in (X, spoiled))
    jax.tree.map(np.testing.assert_array_equal, got, expected)
    assert float(got[0]) != float(representation.loss("autoencoder", *state, X, ONES, KEY)[0])


@pytest.mark.slow
def test_loss_and_statistics_do_not_depend_on_the_number_of_devices():
    representation = latents()
    state = initial(representation, X)
    weights = np.where(PRESENT, 8 / PRESENT.sum(), 0).astype(np.float32)
    expected, (collections, _) = representation.loss("autoencoder", *state, X, weights, KEY)
    halves = X.reshape(2, 4, 4, 4, 1), weights.reshape(2, 4)
    losses, (spread, _) = mapped_by(
        jax.vmap, lambda x, weights: representation.loss("autoencoder", *state, x, weights, KEY)
    )(*halves)
    np.testing.assert_allclose(losses.mean(), expected, rtol=1e-5)
    for one, both in zip(jax.tree.leaves(collections), jax.tree.leaves(spread), strict=True):
        np.testing.assert_allclose(both[0], one, rtol=1e-5, atol=1e-7)


TEXT = Modality("text", (6,), tokenizer=Tokenizer("word", ("a",)))


@pytest.mark.parametrize(
    "of, expected",
    [
        (identity.Representation(TEXT), r"needs values on a grid .*, got 6 ids of"),
        (latents(), "`of` has the same player 'autoencoder'"),
    ],
)
def test_what_it_cannot_stand_on_is_refused(of, expected):
    with pytest.raises(ValueError, match=f"^representation 'kl_autoencoder': {expected}"):
        kl_autoencoder.Representation(encoder=Cells(), decoder=Pixels(), of=of)


def test_the_identity_has_a_channel_axis_for_a_sound_and_nothing_to_train():
    sound = identity.Representation(Modality("audio", (5,), sample_rate=5))
    assert sound.space == Continuous((5, 1)) and sound.players == () and sound.init(KEY, X) == {}
    x = np.linspace(-1, 1, 10, dtype=np.float32).reshape(2, 5)
    code = sound.encode({}, {}, x)
    np.testing.assert_array_equal(code[..., 0], x)
    np.testing.assert_array_equal(sound.decode({}, {}, code), x)
    picture = identity.Representation(IMAGE)
    assert picture.encode({}, {}, X).shape == X.shape and picture.space == Continuous((4, 4, 1))
    with pytest.raises(ValueError, match="has no player 'generator'"):
        picture.loss("generator", {}, {}, X, ONES, KEY)
