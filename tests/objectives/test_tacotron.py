"""Tacotron: what counts in the loss, where a sound ends, and that one step after another is all steps at once."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmgen_jax.config.system import System
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities import tokenizer
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.space import Continuous
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.networks.encoders.text import conv_lstm
from mmgen_jax.networks.fusion import concat
from mmgen_jax.networks.generators import tacotron as decoder
from mmgen_jax.objectives import tacotron
from mmgen_jax.objectives.parts.apply import apply
from mmgen_jax.representations import identity
from mmgen_jax.runs.sampler import Sampler
from mmgen_jax.training import parallel

LETTERS = tokenizer.build("abcd ", "character", open=False)
TEXT = Modality("text", (12,), tokenizer=LETTERS)
FRAMES, BANDS, REDUCTION = 24, 3, 2
CURVE = Modality("vector", (FRAMES, BANDS))
SILENCE = tacotron.SILENCE


class Bounded(identity.Representation):
    """The frames themselves, in [-1, 1]."""

    @property
    def space(self):
        return Continuous((FRAMES, BANDS))


ENCODER = conv_lstm.Encoder(vocab_size=LETTERS.vocab_size, features=8, num_convolutions=1)


def conditioner_of(**encoders):
    return Conditioner(
        encoders, concat.Fusion(features=8), {name: name for name in encoders}, dict.fromkeys(encoders, TEXT)
    )


def make(**fields):
    conditioner = conditioner_of(text=ENCODER)
    sizes = {"features": 12, "attention_features": 8, "prenet_features": 8, "filters": 4, "kernel_size": 5}
    generator = decoder.Generator(
        shape=(FRAMES, BANDS), reduction=REDUCTION, postnet_layers=2, postnet_features=8, **sizes
    )
    known = {"target": "curve", "modality": CURVE, "modalities": {"text": TEXT, "curve": CURVE}}
    known |= {"representation": Bounded(CURVE), "conditioner": conditioner, "generator": generator}
    return tacotron.Objective(**known | fields)


def curves(*lengths: int) -> np.ndarray:
    values = np.random.default_rng(0).uniform(-0.8, 0.8, (len(lengths), FRAMES, BANDS)).astype(np.float32)
    return np.where(np.arange(FRAMES)[None, :, None] < np.array(lengths)[:, None, None], values, np.float32(SILENCE))


def texts(*words: str) -> np.ndarray:
    return np.stack([LETTERS.encode(word, 12) for word in words])


BATCH = {"text": texts("abcd", "d", "a b c d a b"), "curve": curves(17, 24, 9)}


@functools.cache
def state():
    variables = jax.jit(make().init)(jax.random.key(0), BATCH)["generator"]
    return {"generator": variables["params"]}, {"generator": {}}


@functools.cache
def compiled():
    objective = make()

    def loss(own, batch):
        value, (_, metrics) = objective.loss("generator", {"generator": own}, state()[1], batch, jax.random.key(1))
        return value, metrics

    return jax.jit(jax.value_and_grad(loss, has_aux=True))


def value_and_grad(batch):
    return compiled()(state()[0]["generator"], {"curve/mask": np.ones(3, bool)} | batch)


@jax.jit
def by_teacher_forcing(params, batch, keep):
    frames = tacotron.before(jnp.asarray(batch["curve"]), REDUCTION)
    return apply(make().network, "generator", params, {"generator": {}}, batch, frames, keep)


class Normalised(nn.Module):
    """An encoder whose tokens have the batch's statistics."""

    @nn.compact
    def __call__(self, array, mask, train=False):
        encoder = conv_lstm.Encoder(vocab_size=LETTERS.vocab_size, features=8, num_convolutions=1)
        tokens = encoder(array, mask, train=train)
        return tokens.replace(values=nn.BatchNorm(use_running_average=not train)(tokens.values))


@pytest.mark.slow
def test_statistics_of_the_encoders_are_kept():
    objective = make(conditioner=conditioner_of(text=Normalised()))
    variables = jax.jit(objective.init)(jax.random.key(0), BATCH)["generator"]
    stats = {name: tree for name, tree in variables.items() if name != "params"}
    loss = jax.jit(objective.loss, static_argnums=0)
    params = {"generator": variables["params"]}
    _, (after, _) = loss("generator", params, {"generator": stats}, BATCH, jax.random.key(1))
    moved = jax.tree.map(lambda a, b: float(np.abs(a - b).max()), after["generator"], stats)
    assert jax.tree.leaves(moved) and min(jax.tree.leaves(moved)) > 0


def test_a_diagonal_is_of_one_encoder():
    two = conditioner_of(text=ENCODER, title=ENCODER)
    with pytest.raises(
        ConfigError, match=r"guided_attention: a diagonal needs the tokens of one encoder, got .* title"
    ):
        make(conditioner=two)
    make(conditioner=two, guided_attention=0.0)


def with_stop(bias: float):
    """The parameters with a stop token that always (or never) comes."""
    params = jax.tree.map(lambda leaf: leaf, state()[0])
    stop = params["generator"]["generator"]["cell"]["stop"]
    stop["kernel"], stop["bias"] = jnp.zeros_like(stop["kernel"]), jnp.full_like(stop["bias"], bias)
    return params


def test_the_end_is_the_last_frame_that_is_not_silent():
    assert tacotron.num_steps(BATCH["curve"], REDUCTION).tolist() == [9, 12, 5]
    assert tacotron.num_steps(jnp.full((1, 6, 2), SILENCE), 3).tolist() == [1]
    frames = jnp.arange(12.0).reshape(1, 6, 2)
    np.testing.assert_array_equal(tacotron.before(frames, 3), [[[SILENCE, SILENCE], [4.0, 5.0]]])


def test_guide_is_its_formula_and_least_on_the_diagonal():
    found = np.asarray(tacotron.guide(jnp.array([4]), jnp.array([2]), (6, 3), 0.3))
    for s in range(6):
        for n in range(3):
            expected = 1 - np.exp(-((n / 2 - s / 4) ** 2) / (2 * 0.3**2))
            np.testing.assert_allclose(found[0, s, n], expected, atol=1e-6)
    assert found[0, 0].argmin() == 0 and found[0, 2].argmin() == 1


@pytest.mark.slow
def test_loss_is_the_error_of_the_frames_up_to_the_end():
    (loss, metrics), _ = value_and_grad(BATCH)
    objective, params = make(), state()[0]
    keys = jax.random.split(jax.random.key(1), 3)
    keep = objective._keep(keys[2], 3)
    drawn, refined, stop, weights, mask = by_teacher_forcing(params, BATCH, keep)
    counted = np.arange(FRAMES) < 2 * np.array([9, 12, 5])[:, None]
    error = (np.abs(drawn - BATCH["curve"]) + np.abs(refined - BATCH["curve"])) / 2
    np.testing.assert_allclose(metrics["frame_error"], error[counted].mean(), rtol=1e-5)
    expected, count = 0.0, 0
    for row, steps in zip(np.asarray(stop), (9, 12, 5)):
        for s in range(min(12, steps + tacotron.STOPPED)):
            expected += np.logaddexp(0, -row[s]) if s >= steps - 1 else np.logaddexp(0, row[s])
            count += 1
    np.testing.assert_allclose(metrics["stop"], expected / count, rtol=1e-5)
    total = metrics["frame_error"] + 0.1 * metrics["stop"] + metrics["guided_attention"]
    np.testing.assert_allclose(loss, total, rtol=1e-6)
    np.testing.assert_allclose(np.asarray(weights).sum(-1), 1, rtol=1e-5)
    assert not np.asarray(weights)[np.broadcast_to(~np.asarray(mask)[:, None], weights.shape)].any()


@pytest.mark.parametrize("garbage", [0.5, np.nan])
def test_a_masked_sound_does_not_contribute(garbage):
    present = np.array([True, False, True])
    masked = BATCH | {"curve/mask": present}
    spoiled = masked | {"curve": np.where(present[:, None, None], BATCH["curve"], np.float32(garbage))}
    for a, b in zip(jax.tree.leaves(value_and_grad(spoiled)), jax.tree.leaves(value_and_grad(masked))):
        np.testing.assert_array_equal(a, b)


def test_one_step_after_another_is_all_steps_at_once():
    objective, (params, collections) = make(), state()
    network = objective.network
    frames, keep = tacotron.before(jnp.asarray(BATCH["curve"]), REDUCTION), objective._keep(jax.random.key(2), 3)
    drawn, _, stop, weights, _ = by_teacher_forcing(params, BATCH, keep)
    now, _ = apply(network, "generator", params, collections, BATCH, method="init_state")
    step = jax.jit(
        lambda now, frame, keep: apply(network, "generator", params, collections, now, frame, keep, method="step")
    )
    for s in range(FRAMES // REDUCTION):
        now, (some, ends, attended) = step(now, frames[:, s], keep[:, s])
        np.testing.assert_allclose(some, drawn[:, REDUCTION * s : REDUCTION * (s + 1)], atol=1e-5)
        np.testing.assert_allclose(ends, stop[:, s], atol=1e-5)
        np.testing.assert_allclose(attended, weights[:, s], atol=1e-5)


@functools.cache
def drawing(method):
    return jax.jit(lambda params, batch, key: getattr(make(), method)(params, state()[1], batch, key))


def test_a_sound_ends_at_the_stop_token_and_never_after_the_limit():
    at_once = drawing("sample")(with_stop(9.0), BATCH, jax.random.key(0))["curve"]
    assert (np.asarray(at_once)[:, REDUCTION:] == SILENCE).all() and (
        np.asarray(at_once)[:, :REDUCTION] != SILENCE
    ).any()
    never = drawing("sample")(with_stop(-9.0), BATCH, jax.random.key(0))["curve"]
    assert never.shape == BATCH["curve"].shape and (np.asarray(never)[:, -1] != SILENCE).all()
    for bias, steps in ((9.0, 1), (-9.0, FRAMES // REDUCTION)):
        found = drawing("align")(with_stop(bias), BATCH, jax.random.key(0))
        assert found["steps"].tolist() == [steps] * 3
        np.testing.assert_allclose(np.asarray(found["weights"]).sum((1, 2)), steps, rtol=1e-4)


def test_one_word_and_six_words_are_spoken_alike_alone_or_in_a_batch():
    """A prompt's sound does not depend on the other prompts or on the target, and its attention stays within it."""
    params = with_stop(-9.0)
    found = drawing("sample")(params, BATCH, jax.random.key(0))["curve"]
    others = {"text": texts("abcd", "cc cc", "b"), "curve": np.zeros_like(BATCH["curve"])}
    again = drawing("sample")(params, others, jax.random.key(0))["curve"]
    np.testing.assert_array_equal(found[0], again[0])
    assert not np.allclose(found[2], again[2])
    aligned = drawing("align")(params, BATCH, jax.random.key(0))
    assert aligned["mask"].sum(1).tolist() == [5, 2, 12]  # with the end


def test_the_sampler_gives_the_attention_of_its_samples():
    system = System(make(), {}, {"text": TEXT, "curve": CURVE}, ("text",), {}, None)
    sampler = Sampler(system, parallel.create("jit", 2, num_devices=1), 2).load(*state())
    found = sampler.align({"text": BATCH["text"]})  # in batches of two
    alone = sampler.align({"text": BATCH["text"][2:]}, np.array([[0, 2]]))
    for name, array in alone.items():
        np.testing.assert_array_equal(found[name][2:], array)
    assert found["weights"].shape == (3, FRAMES // REDUCTION, 12)


def test_what_is_no_sequence_of_frames_is_refused():
    with pytest.raises(ConfigError, match=r"whose silence is -1; set config\.representation to log_mel"):
        make(representation=None)
    with pytest.raises(ConfigError, match="T a multiple of reduction 5"):
        generator = decoder.Generator(shape=(FRAMES, BANDS), reduction=5)
        jax.eval_shape(make(generator=generator).init, jax.random.key(0), BATCH)
