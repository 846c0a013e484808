"""Flow matching with durations: the best alignment, frames from durations, and what a text has to do with a sound."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities import tokenizer
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.space import Continuous
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.networks.encoders.text import embedding
from mmgen_jax.networks.fusion import concat
from mmgen_jax.networks.generators import unet
from mmgen_jax.objectives import matcha
from mmgen_jax.objectives.parts import durations
from mmgen_jax.representations import identity

LETTERS = tokenizer.build("abcd", "character", open=False)
FRAMES, BANDS = 24, 4
CURVE = Modality("vector", (FRAMES, BANDS))
LASTS = dict(zip("abcd", (2, 3, 5, 4)))  # frames of each letter in the curves below


class Bounded(identity.Representation):
    """The frames themselves, in [-1, 1]."""

    @property
    def space(self):
        return Continuous((FRAMES, BANDS))


def make(length=6, **fields):
    text = Modality("text", (length,), tokenizer=LETTERS)
    encoders = {"text": embedding.Encoder(vocab_size=LETTERS.vocab_size, features=8)}
    conditioner = Conditioner(encoders, concat.Fusion(features=8), {"text": "text"}, {"text": text})
    known = {"target": "curve", "modality": CURVE, "modalities": {"text": text, "curve": CURVE}}
    known |= {"representation": Bounded(CURVE), "conditioner": conditioner}
    known |= {"generator": unet.Generator(channels=(16, 16), patch_size=1, features=16), "prediction": "data"}
    return matcha.Objective(**known | {"duration_features": 16, "duration_dropout": 0.0, "sampling_steps": 4} | fields)


def curve(word: str) -> np.ndarray:
    """Each letter's own band is 0.8 while the letter lasts; silence follows."""
    frames = np.full((FRAMES, BANDS), -1.0, np.float32)
    places = [letter for letter in word for _ in range(LASTS[letter])]
    frames[np.arange(len(places)), ["abcd".index(letter) for letter in places]] = 0.8
    return frames


def texts(*words: str, length=6) -> np.ndarray:
    return np.stack([LETTERS.encode(word, length) for word in words])


WORDS = ("abcd", "d", "cab", "dbca")  # between two equal letters, no border is better than another
BATCH = {"text": texts(*WORDS), "curve": np.stack([curve(word) for word in WORDS])}


@functools.cache
def trained():
    """The parameters after 300 steps on the batch, and the metrics of the last step."""
    objective = make()
    params = {"generator": jax.jit(objective.init)(jax.random.key(0), BATCH)["generator"]["params"]}
    optimizer = optax.adam(1e-2)

    @jax.jit
    def step(carry, number):
        params, state = carry

        def loss(params):
            value, (_, metrics) = objective.loss(
                "generator", params, {"generator": {}}, BATCH, jax.random.fold_in(jax.random.key(1), number)
            )
            return value, metrics

        (_, metrics), grads = jax.value_and_grad(loss, has_aux=True)(params)
        updates, state = optimizer.update(grads, state)
        return (optax.apply_updates(params, updates), state), metrics

    (params, _), metrics = jax.jit(lambda c: jax.lax.scan(step, c, jnp.arange(300)))((params, optimizer.init(params)))
    return params, jax.tree.map(lambda values: float(values[-1]), metrics)


@functools.cache
def compiled(method, **fields):
    function = getattr(make(**fields), method)
    return jax.jit(lambda params, batch: function(params, {"generator": {}}, batch, jax.random.key(3)))


def run(method, batch, **fields):
    return compiled(method, **fields)(trained()[0], batch)


@pytest.mark.parametrize("length, width, own", [(6, 3, 3), (6, 4, 2), (4, 4, 4), (5, 1, 1)])
def test_search_finds_the_best_of_all_alignments(length, width, own):
    scores = np.random.default_rng(length).normal(size=(3, length, width)).astype(np.float32)
    found = np.asarray(durations.search(jnp.asarray(scores), jnp.full(3, own)))
    for row, best in zip(scores, found):
        cuts = [(0, *inner, length) for inner in itertools.combinations(range(1, length), own - 1)]
        sums = [sum(row[a:b, n].sum() for n, (a, b) in enumerate(itertools.pairwise(cut))) for cut in cuts]
        expected = np.diff(cuts[int(np.argmax(sums))])
        np.testing.assert_array_equal(best, np.pad(expected, (0, width - own)))
    np.testing.assert_array_equal(durations.search(jnp.asarray(scores), jnp.zeros(3, int)), 0)


def test_frames_from_durations():
    np.testing.assert_array_equal(
        durations.assign(jnp.array([[2, 0, 1]]), 4), [[[1, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]]]
    )
    filled = durations.filled(jnp.array([[1, 2, 9], [4, 9, 9], [3, 3, 3]]), jnp.array([3, 3, 0]), 6)
    np.testing.assert_array_equal(filled, [[1, 2, 3], [4, 2, 0], [0, 0, 0]])


@pytest.mark.slow
def test_the_durations_of_a_curve_are_found_and_learned():
    _, metrics = trained()
    assert metrics["prior"] < 0.01 and metrics["durations"] < 0.02
    aligned = run("align", BATCH)
    for word, weights, steps in zip(WORDS, np.asarray(aligned["weights"]), np.asarray(aligned["steps"])):
        np.testing.assert_array_equal(weights.sum(axis=0)[: len(word)], [LASTS[letter] for letter in word])
        assert steps == sum(LASTS[letter] for letter in word) and weights.sum() == steps
    drawn = run("sample", BATCH)["curve"]
    assert np.abs(drawn - BATCH["curve"]).mean() < 0.1 < np.abs(drawn[::-1] - BATCH["curve"]).mean()


@pytest.mark.slow
def test_speech_is_slower_by_the_length_scale_and_never_longer_than_the_target():
    once, twice, much = (np.asarray(run("align", BATCH, length_scale=s)["steps"]) for s in (1.0, 2.0, 100.0))
    np.testing.assert_array_equal(twice, np.minimum(2 * once, FRAMES))
    np.testing.assert_array_equal(much, FRAMES)


def test_a_sample_does_not_depend_on_the_target_nor_on_the_other_texts():
    hidden = {**BATCH, "curve": np.zeros_like(BATCH["curve"]), "curve/mask": np.zeros(4, bool)}
    drawn = run("sample", hidden)["curve"]
    np.testing.assert_array_equal(drawn, run("sample", BATCH)["curve"])
    others = {**hidden, "text": texts("abcd", "ab", "bb", "c")}
    np.testing.assert_allclose(drawn[0], run("sample", others)["curve"][0], atol=1e-5)


def test_masked_targets_have_no_influence():
    present = {"curve/mask": np.array([True, False, True, True])}
    spoilt = BATCH["curve"].copy()
    spoilt[1] = np.nan

    def grads(batch):
        def loss(params):
            return make().loss("generator", params, {"generator": {}}, batch, jax.random.key(1))[0]

        return jax.jit(jax.value_and_grad(loss))(trained()[0])

    jax.tree.map(np.testing.assert_array_equal, grads(BATCH | present), grads({**BATCH, "curve": spoilt} | present))


@pytest.mark.slow
def test_guidance_compares_with_a_masked_text():
    def velocity(batch, **fields):
        noise = jax.random.normal(jax.random.key(3), (4, FRAMES, BANDS))
        objective = make(**fields)
        return jax.jit(lambda p: objective.velocity(p, {"generator": {}}, batch)(noise, jnp.full(4, 0.5)))(trained()[0])

    given, without = velocity(BATCH), velocity({**BATCH, "text/mask": np.zeros(4, bool)})
    guided = velocity(BATCH, guidance=3.0, condition_dropout=0.1)
    np.testing.assert_allclose(guided, without + 3.0 * (given - without), atol=1e-3)
    assert np.abs(given - without).max() > 0.1


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="each of the 30 tokens of a text needs a frame, and the target has 24"):
        jax.eval_shape(make(length=30).init, jax.random.key(0), BATCH | {"text": texts(*WORDS, length=30)})
    with pytest.raises(ConfigError, match="expected one encoder, of the text"):
        make(conditioner=Conditioner({}, None, {}, {"curve": CURVE}, aligned=("curve",)))
