"""The autoregressive family: decoders with and without their cache, the likelihood, and what is drawn."""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from grid_parts import IMAGE, codes
from tiny import mapped_by

from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.tokenizer import END, PADDING, Tokenizer
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.encoders import label
from mmgen_jax.networks.fusion import concat
from mmgen_jax.networks.generators import recurrent, transformer
from mmgen_jax.objectives import autoregressive
from mmgen_jax.objectives.parts.guidance import drop_conditions

V, T, B = 11, 6, 4
RNG = np.random.default_rng(0)
IDS = RNG.integers(1, V, (B, T)).astype(np.int32)
FUSED = Condition(
    jnp.asarray(RNG.normal(size=(B, 3, 5)), jnp.float32),
    jnp.asarray([[1, 1, 1], [1, 0, 1], [0, 1, 0], [0, 0, 0]], bool),
    jnp.asarray(RNG.normal(size=(B, 5)), jnp.float32),
)
DECODERS = {
    "prefix": transformer.Generator(V, (T,), features=16, num_layers=2, num_heads=2, attend="prefix"),
    "cross": transformer.Generator(V, (T,), features=16, num_layers=1, num_heads=2, attend="cross"),
    "recurrent": recurrent.Generator(V, features=16),
}


@functools.cache
def decoder(name, conditional=True):
    """`(call(tokens, condition), variables)`; weights large enough for every input to matter."""
    network, condition = DECODERS[name], FUSED if conditional else None
    variables = jax.jit(network.init)(jax.random.key(0), IDS, condition)
    variables = jax.tree.map(lambda leaf: 2 * leaf, variables)
    return jax.jit(functools.partial(network.apply, variables)), variables


@pytest.mark.parametrize("name, conditional", [*((name, True) for name in DECODERS), ("prefix", False)])
def test_a_step_with_the_cache_is_the_full_forward(name, conditional):
    call, variables = decoder(name, conditional)
    network, condition = DECODERS[name], FUSED if conditional else None

    @jax.jit
    def cached(tokens):
        cache = network.apply(variables, condition, B, method="init_cache")
        assert all(leaf.shape[0] == B for leaf in jax.tree.leaves(cache))  # so that a beam can be moved

        def body(cache, inputs):
            logits, cache = network.apply(variables, cache, *inputs, method="step")
            return cache, logits

        return jax.lax.scan(body, cache, (tokens.T, jnp.arange(T)))[1].swapaxes(0, 1)

    full = call(IDS, condition)
    assert full.shape == (B, T, V) and np.std(full) > 0.1
    np.testing.assert_allclose(cached(IDS), full, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", DECODERS)
def test_logits_know_the_past_and_the_conditions_and_nothing_else(name):
    call, _ = decoder(name)
    logits = call(IDS, FUSED)
    later = IDS.copy()
    later[:, 3] = IDS[:, 3] % (V - 1) + 1
    changed = np.abs(call(later, FUSED) - logits).max(axis=(0, 2))
    assert np.all(changed[:3] == 0) and np.all(changed[3:] > 1e-4)
    spoiled = FUSED.replace(tokens=jnp.where(FUSED.mask[..., None], FUSED.tokens, 1e3))
    np.testing.assert_array_equal(call(IDS, spoiled), logits)
    seen = np.abs(call(IDS, FUSED.replace(tokens=FUSED.tokens + 1)) - logits).max(axis=(1, 2))
    np.testing.assert_array_equal(seen > 1e-4, FUSED.mask.any(axis=1))


# The objective

TOKENIZER = Tokenizer("word", tuple("abcdefgh"))
TEXT = Modality("text", (T,), tokenizer=TOKENIZER)
CLASS = Modality("label", classes=tuple("01234567"))
WORDS = ["a b c", "a b", "c", "d e f g h", "b b", "h a", "f", "g g g g"]
CAPTIONS = np.stack([TOKENIZER.encode(words, T) for words in WORDS])
CLASSES = np.arange(8, dtype=np.int32)
BATCH = {"text": CAPTIONS, "class": CLASSES}
CAPTION = {"modality": TEXT, "target": "text"}
PICTURES = np.sign(RNG.normal(size=(8, 4, 4, 1))).astype(np.float32)


def conditioner():
    encoders = {"class": label.Encoder(num_classes=8, features=16)}
    return Conditioner(encoders, concat.Fusion(features=16), reads={"class": "class"}, modalities={"class": CLASS})


class Fixed(nn.Module):
    """The same logits for every token."""

    vocab_size: int = TEXT.vocab_size

    @nn.compact
    def __call__(self, tokens, condition, train: bool = False):
        logits = self.param("logits", nn.initializers.normal(1.0), (self.vocab_size,))
        return jnp.broadcast_to(logits, (*tokens.shape, self.vocab_size))


def captioning(**fields):
    generator = DECODERS["recurrent"].clone(vocab_size=TEXT.vocab_size)
    return autoregressive.Objective(**{"generator": generator, "conditioner": conditioner()} | fields, **CAPTION)


def drawing(**fields):
    space = codes().space
    return autoregressive.Objective(
        generator=DECODERS["prefix"].clone(vocab_size=space.num_ids, shape=space.shape, num_layers=1),
        modality=IMAGE,
        target="image",
        conditioner=conditioner(),
        representation=codes(),
        **fields,
    )


def initial(objective, batch):
    variables = jax.jit(objective.init)(jax.random.key(0), batch)
    params = {player: tree["params"] for player, tree in variables.items()}
    return params, {player: {k: v for k, v in tree.items() if k != "params"} for player, tree in variables.items()}


def fit(objective, batch, steps, players, state=None, lr=0.02):
    """`(params, collections), last metrics` after so many steps on one batch."""
    params, collections = state or initial(objective, batch)
    optimizer = optax.adam(lr)
    opt = {player: optimizer.init(params[player]) for player in players}

    @jax.jit
    def step(params, collections, opt, number):
        metrics = {}
        for player in players:

            def loss(own, player=player, params=params, collections=collections):
                key = jax.random.fold_in(jax.random.key(1), number)
                return objective.loss(player, params | {player: own}, collections, batch, key, number)

            (_, (collections, metrics)), grads = jax.value_and_grad(loss, has_aux=True)(params[player])
            updates, opt[player] = optimizer.update(grads, opt[player])
            params = params | {player: optax.apply_updates(params[player], updates)}
        return params, collections, opt, metrics

    for number in range(steps):
        params, collections, opt, metrics = step(params, collections, opt, number)
    return (params, collections), metrics


def test_the_loss_is_the_mean_over_tokens_with_the_end_and_without_padding():
    objective = captioning(generator=Fixed(), conditioner=None)
    params, collections = initial(objective, BATCH)
    loss, (_, metrics) = objective.loss("generator", params, collections, BATCH, jax.random.key(0))
    logits = np.asarray(params["generator"]["generator"]["logits"], np.float64)
    log_p = logits - np.log(np.sum(np.exp(logits[1:])))  # PADDING is never drawn
    counted = CAPTIONS[CAPTIONS != PADDING]
    assert np.sum(counted == END) == len(CAPTIONS)
    np.testing.assert_allclose(loss, -log_p[counted].mean(), rtol=1e-5)
    np.testing.assert_allclose(metrics["accuracy"], np.mean(counted == 1 + np.argmax(logits[1:])), rtol=1e-6)
    mask = np.arange(8) % 3 > 0
    spoiled = np.where(mask[:, None], CAPTIONS, 3)
    masked, _ = objective.loss(
        "generator", params, collections, {"text": spoiled, "text/mask": mask}, jax.random.key(0)
    )
    counted = CAPTIONS[mask][CAPTIONS[mask] != PADDING]
    np.testing.assert_allclose(masked, -log_p[counted].mean(), rtol=1e-5)


SPREAD = {
    "generator": (captioning(generator=Fixed(), conditioner=None), {"text": CAPTIONS, "text/mask": np.arange(8) != 2}),
    "tokenizer": (drawing(), {"image": PICTURES, "image/mask": np.arange(8) != 2, "class": CLASSES}),
}


@pytest.mark.slow
@pytest.mark.parametrize("player", SPREAD)
def test_losses_do_not_depend_on_how_the_batch_is_spread(player):
    objective, batch = SPREAD[player]
    params, collections = initial(objective, batch)

    def value_and_grad(batch):
        def loss(own):
            return objective.loss(player, params | {player: own}, collections, batch, jax.random.key(0))

        (value, (new, metrics)), grads = jax.value_and_grad(loss, has_aux=True)(params[player])
        return value, grads, new, metrics

    whole = jax.jit(value_and_grad)(batch)
    parts = {name: array.reshape(4, 2, *array.shape[1:]) for name, array in batch.items()}
    spread = jax.jit(mapped_by(jax.vmap, value_and_grad))(parts)
    for got, expected in zip(jax.tree.leaves(spread), jax.tree.leaves(whole)):
        np.testing.assert_allclose(jnp.mean(got, axis=0), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_captions_are_learnt_and_drawn_in_their_form():
    objective = captioning()
    state, metrics = fit(objective, BATCH, 200, ("generator",), lr=0.01)
    assert metrics["accuracy"] == 1 and metrics["nll_per_token"] < 0.1

    def sample(**fields):
        changed = dataclasses.replace(objective, **fields)
        given = {"class": CLASSES, "text": np.zeros_like(CAPTIONS), "text/mask": np.zeros(8, bool)}
        return np.asarray(jax.jit(changed.sample)(*state, given, jax.random.key(0))["text"])

    np.testing.assert_array_equal(sample(temperature=0.0), CAPTIONS)
    np.testing.assert_array_equal(sample(beam_size=3), CAPTIONS)
    hot = sample(temperature=10.0)
    assert np.any(hot != CAPTIONS)
    for ids in hot:
        end = list(ids).index(END)
        assert np.all(ids[:end] > END) and np.all(ids[end + 1 :] == PADDING)


@pytest.mark.slow
def test_an_image_is_drawn_by_its_codes():
    objective = drawing(condition_dropout=0.2)
    batch = {"image": PICTURES, "class": CLASSES}
    state, metrics = fit(objective, batch, 200, ("tokenizer",))
    assert metrics["error_per_element"] < 0.1 and metrics["codebook_perplexity"] > 5
    tokenizer = jax.tree.map(np.asarray, state)
    state, metrics = fit(objective, batch, 200, ("generator",), state, lr=0.01)
    for tree, before in zip(state, tokenizer):  # it stood still
        jax.tree.map(np.testing.assert_array_equal, tree["tokenizer"], before["tokenizer"])
    ids = objective.ids(*state, batch)
    assert ids.min() >= 1 and ids.max() <= 24
    masked = objective.ids(*state, batch | {"image/mask": CLASSES > 0})
    np.testing.assert_array_equal(masked[0], PADDING)
    np.testing.assert_array_equal(masked[1:], ids[1:])

    reconstructed = objective.reconstruct(*state, batch, jax.random.key(0))["image"]
    assert np.mean(np.sign(reconstructed) == PICTURES) > 0.95

    def sample(given=CLASSES, **fields):
        changed = dataclasses.replace(objective, **fields)
        conditions = {"class": given, "image": np.zeros_like(PICTURES)}
        return np.asarray(jax.jit(changed.sample)(*state, conditions, jax.random.key(0))["image"])

    np.testing.assert_allclose(sample(temperature=0.0), reconstructed, atol=1e-5)
    np.testing.assert_allclose(sample(temperature=0.0, guidance=2.0), reconstructed, atol=1e-5)
    np.testing.assert_allclose(sample(temperature=0.0, beam_size=2), reconstructed, atol=1e-5)
    without = sample(guidance=0.0)  # the conditions do not matter
    np.testing.assert_array_equal(without, sample(CLASSES[::-1], guidance=0.0))
    assert np.any(np.abs(sample(CLASSES) - sample(CLASSES[::-1])) > 0.5)


def test_dropped_conditions_are_masked():
    batch = {"class": CLASSES, "image": PICTURES, "image/mask": CLASSES > 3}
    dropped = drop_conditions(batch, ("class", "image", "sound"), jnp.asarray(CLASSES % 2 == 0))
    assert set(dropped) == {"class", "class/mask", "image", "image/mask"}
    np.testing.assert_array_equal(dropped["class/mask"], CLASSES % 2 == 1)
    np.testing.assert_array_equal(dropped["image/mask"], (CLASSES > 3) & (CLASSES % 2 == 1))


@pytest.mark.parametrize(
    "fields, expected",
    [
        ({"modality": IMAGE, "target": "image"}, r"models ids, and 'image' \(image\) gives values \[4, 4, 1\]"),
        ({"temperature": -1.0}, "temperature: expected at least 0, got -1.0"),
        ({"top_p": 0.0}, r"top_p: expected in \(0, 1\], got 0.0"),
        ({"beam_size": 0}, "beam_size: expected at least 1"),
        ({"guidance": 2.0}, "needs a model that was trained with objective.condition_dropout"),
        ({"condition_dropout": 0.1, "conditioner": None}, "need conditions, got no encoders"),
    ],
)
def test_settings_that_do_not_exist_are_refused(fields, expected):
    with pytest.raises(ValueError, match=expected):
        dataclasses.replace(captioning(), **fields)
