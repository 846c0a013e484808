"""WaveNet on mu-law codes: the cache over two receptive fields, its place in time, padding, and segments."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.tokenizer import PADDING
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.generators import recurrent, wavenet
from mmgen_jax.objectives import autoregressive
from mmgen_jax.objectives.parts.masks import is_padding
from mmgen_jax.representations import mu_law

V, HOP, B = 257, 4, 3
RNG = np.random.default_rng(0)
NETWORK = wavenet.Generator(V, (40,), HOP, features=8, skip_features=12, num_stacks=2, num_layers=3)
T = 2 * NETWORK.receptive_field + 1
FRAMES = jnp.asarray(RNG.normal(size=(B, T // HOP + 2, 5)), jnp.float32)
SEEN = Condition(None, None, jnp.asarray(RNG.normal(size=(B, 6)), jnp.float32), {"mel": FRAMES})
IDS = RNG.integers(1, V, (B, T)).astype(np.int32)
IDS[:, 0] = PADDING  # the start token


@functools.cache
def applied():
    variables = jax.jit(NETWORK.init)(jax.random.key(0), IDS, SEEN)
    variables = jax.tree.map(lambda leaf: 2 * leaf, variables)  # so that every input matters
    return jax.jit(functools.partial(NETWORK.apply, variables)), variables


def test_a_step_with_the_cache_is_the_full_forward_over_two_receptive_fields():
    call, variables = applied()

    @jax.jit
    def cached(tokens):
        cache = NETWORK.apply(variables, SEEN, B, method="init_cache")
        assert all(leaf.shape[0] == B for leaf in jax.tree.leaves(cache))

        def body(cache, inputs):
            logits, cache = NETWORK.apply(variables, cache, *inputs, method="step")
            return cache, logits

        return jax.lax.scan(body, cache, (tokens.T, jnp.arange(T)))[1].swapaxes(0, 1)

    full = call(IDS, SEEN)
    assert NETWORK.receptive_field == 15 and full.shape == (B, T, V) and np.std(full) > 0.1
    np.testing.assert_allclose(cached(IDS), full, atol=1e-4)


def test_a_logit_depends_on_its_receptive_field_alone():
    call, _ = applied()
    logits, later = call(IDS, SEEN), IDS.copy()
    later[:, 10] = IDS[:, 10] % (V - 1) + 1
    changed = np.abs(call(later, SEEN) - logits).max((0, 2)) > 0
    assert not changed[:10].any() and changed[10] and not changed[10 + NETWORK.receptive_field :].any()
    assert changed[10 + NETWORK.receptive_field - 1]


def test_padding_is_silence():
    """Not code 0, the most negative sample."""
    call, _ = applied()
    assert NETWORK.silence == mu_law.SILENCE + 1
    silent = np.where(IDS == PADDING, mu_law.SILENCE + 1, IDS)
    np.testing.assert_array_equal(call(silent, SEEN), call(IDS, SEEN))
    assert np.abs(call(np.where(IDS == PADDING, 1, IDS), SEEN) - call(IDS, SEEN))[:, 0].max() > 1e-3


def test_a_frame_acts_on_its_own_place():
    """Frame t at place `t hop`, with its neighbours by the convolution, and up to the next frame by interpolation."""
    call, _ = applied()
    moved = SEEN.replace(aligned={"mel": FRAMES.at[:, 5].add(1.0)})
    changed = np.abs(call(IDS, moved) - call(IDS, SEEN)).max((0, 2)) > 0
    first = (5 - 2) * HOP + 1  # frame 4 sees frame 5; the interpolation towards frame 4 begins behind frame 3
    assert not changed[:first].any() and changed[first]
    everywhere = np.abs(call(IDS, SEEN.replace(pooled=SEEN.pooled + 1)) - call(IDS, SEEN)).max((0, 2))
    assert (everywhere > 0).all()


def test_silence_that_is_no_id_is_refused():
    with pytest.raises(ConfigError, match="silence: expected an id from 1 to 39, got 129"):
        wavenet.Generator(40, (40,)).init(jax.random.key(0), jnp.zeros((1, 40), jnp.int32), None)


def test_frames_without_their_hop_are_refused():
    with pytest.raises(ConfigError, match=r"wavenet: expected aligned sources \[T, C\] .* hop_length"):
        NETWORK.clone(hop_length=0).init(jax.random.key(0), IDS, SEEN)


def test_every_code_survives_decoding_and_encoding():
    codes = np.arange(256, dtype=np.int32)[None]
    representation = mu_law.Representation(modality=Modality("audio", (256,), sample_rate=8000))
    np.testing.assert_array_equal(representation.encode({}, {}, representation.decode({}, {}, codes)), codes)
    assert representation.encode({}, {}, np.zeros((1, 256)))[0, 0] == mu_law.SILENCE


# The objective

S, SOUND = 32, Modality("audio", (32,), sample_rate=8000)
MEL = Modality("vector", (S // HOP + 1, 2))
WAVES = np.tanh(RNG.normal(size=(4, S))).astype(np.float32)
WAVES[0, 20:] = 0
BATCH = {"sound": WAVES, "mel": RNG.normal(size=(4, *MEL.shape)).astype(np.float32)}


def objective(**fields):
    modalities = {"sound": SOUND, "mel": MEL}
    given = {
        "target": "sound",
        "modality": SOUND,
        "modalities": modalities,
        "representation": mu_law.Representation(modality=SOUND),
        "conditioner": Conditioner({}, None, {}, {"mel": MEL}, aligned=("mel",)),
        "generator": NETWORK.clone(shape=(S,), num_stacks=1, num_layers=2),
    }
    return autoregressive.Objective(**given | fields)


@functools.cache
def state(**fields):
    made = objective(**fields)
    variables = jax.jit(made.init)(jax.random.key(0), BATCH)
    return {"generator": variables["generator"]["params"]}, {"generator": {}}


def loss_of(batch=BATCH, rng=0, **fields):
    value, (_, metrics) = jax.jit(objective(**fields).loss, static_argnums=0)(
        "generator", *state(), batch, jax.random.key(rng), 0
    )
    return float(value), {name: float(metric) for name, metric in metrics.items()}


def test_padding_is_masked_in_the_loss():
    made = objective(pause=3)
    ids = np.asarray(made.ids(*state(), BATCH))
    assert (ids[0, 20:23] == mu_law.SILENCE + 1).all() and (ids[0, 23:] == PADDING).all()
    assert (ids[1:] != PADDING).all()
    nats = np.asarray(jax.jit(made.elbo)(*state(), BATCH, jax.random.key(0)))
    loss, metrics = loss_of(pause=3)
    assert metrics["tokens_per_example"] == pytest.approx((3 * S + 23) / 4)
    assert -nats.sum() / (3 * S + 23) == pytest.approx(loss, rel=1e-5)
    whole = -np.asarray(jax.jit(objective().elbo)(*state(), BATCH, jax.random.key(0)))
    assert whole[0] > -nats[0]
    np.testing.assert_allclose(whole[1:], -nats[1:], rtol=1e-6)


def test_what_padding_is():
    sounds = jnp.asarray([[0.0, 1, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 1]])
    np.testing.assert_array_equal(is_padding(sounds, 1), [[0, 0, 0, 1, 1], [0, 1, 1, 1, 1], [0, 0, 0, 0, 0]])


def test_the_whole_as_a_segment_is_the_whole():
    assert loss_of(segment=S)[0] == pytest.approx(loss_of()[0], rel=1e-6)


@pytest.mark.slow
def test_a_segment_is_a_part_of_the_target_with_the_frames_of_the_same_place():
    made, places = objective(segment=8), set()
    for seed in range(20):
        part, batch = made.of_segments(BATCH, jax.random.key(seed))
        for i in range(4):
            begins = [t for t in range(0, S - 7) if np.array_equal(batch["sound"][i], WAVES[i, t : t + 8])]
            frames = [t for t in range(7) if np.array_equal(batch["mel"][i], BATCH["mel"][i, t : t + 3])]
            assert len(frames) == 1 and frames[0] * HOP in begins
            places.add(frames[0])
    assert places == set(range(7))
    assert (part.modality.shape, part.modalities["mel"].shape, part.generator.shape) == ((8,), (3, 2), (8,))
    assert part.conditioner.modalities["mel"].shape == (3, 2) and not part.segment
    assert loss_of(rng=1, segment=8)[0] != loss_of(rng=2, segment=8)[0]
    assert loss_of(segment=8)[1]["tokens_per_example"] == 8


def test_the_padding_of_a_segment_is_that_of_the_whole():
    """A part that begins behind the sound has no sample that counts, however long the pause."""
    quiet = {**BATCH, "sound": np.where(np.arange(S) < 4, WAVES, 0).astype(np.float32)}
    made, counts = objective(pause=8, segment=8), set()
    for seed in range(8):
        part, cut = made.of_segments(made._with_padding(quiet), jax.random.key(seed))
        ids = np.asarray(part.ids(*state(), cut))
        for i in range(4):
            (begin,) = [t for t in range(7) if np.array_equal(cut["mel"][i], BATCH["mel"][i, t : t + 3])]
            counted = np.arange(begin * HOP, begin * HOP + 8) < 4 + 8
            np.testing.assert_array_equal(ids[i] != PADDING, counted)
            counts.add(int(counted.sum()))
    assert {0, 8} <= counts
    assert loss_of(quiet, pause=8, segment=8)[1]["tokens_per_example"] < 8


def test_samples_are_whole_and_ignore_the_target():
    made = objective(segment=8)
    draw = jax.jit(made.sample)
    drawn = draw(*state(), BATCH, jax.random.key(1))["sound"]
    assert drawn.shape == (4, S) and np.abs(drawn).max() <= 1
    other = draw(*state(), BATCH | {"sound": -WAVES}, jax.random.key(1))["sound"]
    np.testing.assert_array_equal(drawn, other)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"segment": 6}, "segment: expected a multiple of generator.hop_length 4, at most the target's 32, got 6"),
        ({"segment": 36}, "at most the target's 32, got 36"),
        ({"segment": 8, "conditioner": None}, "segment: .* needs config.aligned"),
        ({"segment": 8, "generator": recurrent.Generator(V)}, "segment: .* a generator with a hop_length"),
        ({"segment": 8, "generator": NETWORK.clone(hop_length=2)}, "at least 17 frames of 'mel' .* got 9"),
    ],
)
def test_a_segment_that_cannot_be_cut_is_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        objective(**fields)


def test_a_pause_needs_an_id_for_each_sample():
    label = Modality("label", classes=("a", "b"))
    with pytest.raises(ConfigError, match="pause: needs one id for each sample"):
        dataclasses.replace(objective(), modality=label, representation=None, pause=1)
