"""A vocoder against discriminators of its waveform: the networks, the errors, and segments."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.discriminators import conv, waveform
from mmgen_jax.networks.features import audio
from mmgen_jax.networks.generators import vocos
from mmgen_jax.objectives import adversarial
from mmgen_jax.objectives.parts import spectral

S, HOP, RATE, B = 2048, 128, 8000, 2
RNG = np.random.default_rng(0)
SOUND, MEL = Modality("audio", (S,), sample_rate=RATE), Modality("vector", (S // HOP + 1, 6))
WAVES = (0.3 * np.tanh(RNG.normal(size=(B, S)))).astype(np.float32)
BATCH = {"sound": WAVES, "mel": RNG.normal(size=(B, *MEL.shape)).astype(np.float32)}
GENERATOR = vocos.Generator((S, 1), HOP, features=8, num_blocks=1)
DISCRIMINATOR = waveform.Discriminator(width=2, max_width=4, periods=(2, 3), scales=(1, 2))


def test_samples_of_a_period():
    sounds = jnp.arange(14.0).reshape(2, 7, 1)
    rows = waveform.by_period(sounds, 3)[..., 0]
    np.testing.assert_array_equal(rows[:3], [[0, 3, 6], [1, 4, 5], [2, 5, 4]])  # 7 and 8 are 5 and 4, reflected
    np.testing.assert_array_equal(rows[3], [7, 10, 13])


def test_samples_of_a_scale_are_means():
    np.testing.assert_array_equal(waveform.by_scale(jnp.arange(7.0).reshape(1, 7, 1), 2)[0, :, 0], [0.5, 2.5, 4.5])


@pytest.mark.slow
def test_logits_of_all_discriminators_and_each_example_alone():
    variables = DISCRIMINATOR.init(jax.random.key(0), WAVES[..., None], None)
    assert set(variables) == {"params"}  # the features are no state
    logits, kept = DISCRIMINATOR.apply(variables, WAVES[..., None], None, mutable=["features"])
    single = [
        DISCRIMINATOR.clone(periods=periods, scales=scales).apply(variables, WAVES[..., None], None)
        for periods, scales in (((2,), ()), ((3,), ()), ((), (1,)), ((), (2,)))
    ]
    np.testing.assert_allclose(logits, np.concatenate(single, axis=1), atol=1e-6)
    assert len(jax.tree.leaves(kept["features"])) == 2 * 4 + 2 * 5
    np.testing.assert_allclose(DISCRIMINATOR.apply(variables, WAVES[1:, :, None], None), logits[1:], atol=1e-5)


@pytest.mark.slow
def test_frames_act_on_their_own_place():
    seen = Condition(None, None, None, {"mel": jnp.asarray(BATCH["mel"])})
    variables = GENERATOR.init(jax.random.key(0), None, seen)
    before = GENERATOR.apply(variables, None, seen)
    assert before.shape == (B, S, 1) and np.abs(before).max() > 1e-3
    moved = seen.replace(aligned={"mel": seen.aligned["mel"].at[:, 8].add(1.0)})
    changed = np.flatnonzero(np.abs(GENERATOR.apply(variables, None, moved) - before).max((0, 2)) > 1e-7)
    reach = 2 * 3 * HOP + 2 * HOP  # two convolutions of 7 frames, and half a window
    assert abs((changed[0] + changed[-1]) / 2 - 8 * HOP) < HOP and changed[-1] - changed[0] <= 2 * reach
    with_latent = GENERATOR.init(jax.random.key(0), jnp.ones((B, 3)), seen)
    one, two = (GENERATOR.apply(with_latent, latent * jnp.ones((B, 3)), seen) for latent in (0.0, 1.0))
    assert np.abs(one - two).max() > 1e-5


def test_mel_error_is_the_difference_of_log_amplitudes():
    error = spectral.mel_error(jnp.asarray(WAVES), jnp.asarray(2 * WAVES), RATE)
    np.testing.assert_allclose(error, np.log(2), rtol=1e-4)
    np.testing.assert_array_equal(spectral.mel_error(jnp.asarray(WAVES), jnp.asarray(WAVES), RATE), np.zeros(B))
    silent = jax.grad(lambda x: spectral.mel_error(x, jnp.asarray(WAVES), RATE).sum())(jnp.zeros((B, S)))
    assert np.isfinite(silent).all()
    power = audio.mel_spectrogram(jnp.asarray(WAVES), RATE, n_mels=80)
    other = audio.mel_spectrogram(jnp.asarray(WAVES[::-1]), RATE, n_mels=80)
    expected = np.abs(0.5 * np.log(power / other)).mean((1, 2))
    np.testing.assert_allclose(
        spectral.mel_error(jnp.asarray(WAVES), jnp.asarray(WAVES[::-1]), RATE), expected, rtol=1e-4
    )


def objective(**fields):
    given = {
        "target": "sound",
        "modality": SOUND,
        "modalities": {"sound": SOUND, "mel": MEL},
        "conditioner": Conditioner({}, None, {}, {"mel": MEL}, aligned=("mel",)),
        "generator": GENERATOR,
        "discriminator": DISCRIMINATOR,
        "latent_dim": 0,
        "output": "linear",
        "loss_type": "least_squares",
        "mel": 45.0,
        "feature_matching": 2.0,
    }
    return adversarial.Objective(**given | fields)


@functools.cache
def state():
    variables = jax.jit(objective().init)(jax.random.key(0), BATCH)
    assert all(set(tree) == {"params"} for tree in variables.values())
    return {player: tree["params"] for player, tree in variables.items()}, {"generator": {}, "discriminator": {}}


@functools.cache
def loss(player="generator", batch=None, **fields):
    value, (_, metrics) = jax.jit(objective(**fields).loss, static_argnums=0)(
        player, *state(), BATCH if batch is None else dict(batch), jax.random.key(0)
    )
    return float(value), {name: float(metric) for name, metric in metrics.items()}


@pytest.mark.slow
def test_the_errors_are_those_of_the_sample():
    value, metrics = loss()
    drawn = objective().sample(*state(), BATCH, jax.random.key(0))["sound"]
    assert metrics["mel"] == pytest.approx(float(spectral.mel_error(drawn, jnp.asarray(WAVES), RATE).mean()), rel=1e-3)
    variables, sums = {"params": state()[0]["discriminator"]["network"]}, []
    kept = [
        DISCRIMINATOR.apply(variables, x[..., None], None, mutable=["features"])[1]["features"] for x in (drawn, WAVES)
    ]
    for a, b in zip(*map(jax.tree.leaves, kept)):
        sums.append(np.abs(a - b).mean())
    assert metrics["feature_matching"] == pytest.approx(np.mean(sums), rel=1e-3)
    plain = loss(mel=0.0, feature_matching=0.0)[0]
    assert value == pytest.approx(plain + 45 * metrics["mel"] + 2 * metrics["feature_matching"], rel=1e-4)


@pytest.mark.slow
def test_a_true_sound_has_features_without_an_error_and_no_gradient_reaches_the_true_side():
    made = objective()
    features = made._features(*state(), BATCH, jnp.asarray(WAVES)[..., None], {})
    assert all(
        np.abs(a - b).max() == 0
        for a, b in zip(features, made._features(*state(), BATCH, jnp.asarray(WAVES)[..., None], {}))
    )


def test_both_players_train_on_segments():
    for player in ("generator", "discriminator"):
        value, _ = loss(player, segment=512)
        assert np.isfinite(value) and value != loss(player)[0]


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"discriminator": conv.Discriminator()}, "feature_matching: needs a discriminator that keeps its features"),
        ({"modality": Modality("image", (8, 8, 1)), "feature_matching": 0.0}, "mel: is of the waveform"),
        ({"segment": 100}, "segment: expected a multiple of generator.hop_length 128"),
    ],
)
def test_what_does_not_fit_is_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        objective(**fields)


@pytest.mark.parametrize("fields", [{"periods": (), "scales": ()}, {"periods": (3000,)}])
def test_discriminators_that_see_nothing_are_refused(fields):
    with pytest.raises(ConfigError, match="discriminators/waveform: expected a sound"):
        jax.eval_shape(DISCRIMINATOR.clone(**fields).init, jax.random.key(0), WAVES[..., None], None)


def test_frames_that_do_not_reach_the_end_are_refused():
    short = Condition(None, None, None, {"mel": jnp.zeros((B, 15, 6))})
    with pytest.raises(ConfigError, match=r"vocos: draws a sound .* at least 16 .* got \{'mel': \[15, 6\]\}"):
        jax.eval_shape(GENERATOR.init, jax.random.key(0), None, short)


def test_a_window_of_an_odd_number_of_samples_is_refused():
    seen = Condition(None, None, None, {"mel": jnp.zeros((1, 20, 6))})
    with pytest.raises(ConfigError, match=r"vocos\.n_fft: expected an even number of samples, got 63"):
        jax.eval_shape(vocos.Generator((256, 1), hop_length=16, n_fft=63).init, jax.random.key(0), None, seen)
