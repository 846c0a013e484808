"""Adversarial generation of text: what a gradient passes, what is drawn, and the players of each phase."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import traverse_util

from mmgen_jax.modalities import tokenizer
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.tokenizer import END, PADDING
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.networks.conditioning.tokens import Condition
from mmgen_jax.networks.discriminators import sequence
from mmgen_jax.networks.encoders import label
from mmgen_jax.networks.fusion import concat
from mmgen_jax.networks.generators import recurrent, transformer
from mmgen_jax.objectives import adversarial_text, autoregressive

B, T = 8, 6
TOKENIZER = tokenizer.Tokenizer("word", tuple("abcdefgh"))
TEXT = Modality("text", (T,), tokenizer=TOKENIZER)
V = TEXT.vocab_size
CLASS = Modality("label", classes=tuple("01234567"))
WORDS = ["a b c", "a b", "c", "d e f g h", "b b", "h a", "f", "g g g g"]
CAPTIONS = np.stack([TOKENIZER.encode(words, T) for words in WORDS])
BATCH = {"text": CAPTIONS, "class": np.arange(B, dtype=np.int32)}
RNG = np.random.default_rng(0)
GENERATORS = {
    "recurrent": recurrent.Generator(V, features=16),
    "transformer": transformer.Generator(V, (T,), features=16, num_layers=1, num_heads=2),
}


def make(generator="recurrent", **fields):
    encoders = {"class": label.Encoder(num_classes=8, features=16)}
    conditioner = Conditioner(encoders, concat.Fusion(features=16), {"class": "class"}, {"class": CLASS})
    return adversarial_text.Objective(
        generator=GENERATORS[generator],
        discriminator=sequence.Discriminator(features=16),
        conditioner=conditioner,
        modality=TEXT,
        target="text",
        **fields,
    )


@functools.cache
def initial(generator="recurrent"):
    """`(params, collections)`, the generator's change not 0."""
    variables = jax.jit(make(generator).init)(jax.random.key(0), BATCH)
    params = {player: tree["params"] for player, tree in variables.items()}
    assert all(np.all(leaf == 0) for leaf in jax.tree.leaves(params["generator"]))
    leaves, structure = jax.tree.flatten(params["generator"])
    changed = [0.1 * RNG.normal(size=leaf.shape).astype(np.float32) for leaf in leaves]
    params["generator"] = structure.unflatten(changed)
    return params, {player: {k: v for k, v in tree.items() if k != "params"} for player, tree in variables.items()}


def test_a_word_is_one_hot_and_its_gradient_that_of_the_softmax():
    logits, weight = (jnp.asarray(RNG.normal(size=(3, V)), jnp.float32) for _ in range(2))
    words = adversarial_text.straight_through(logits, 0.5)
    np.testing.assert_array_equal(words, np.eye(V)[np.argmax(logits, axis=-1)])
    gradient = jax.grad(lambda x: jnp.sum(weight * adversarial_text.straight_through(x, 0.5)))(logits)
    p = np.exp(2 * np.asarray(logits, np.float64))
    p /= p.sum(axis=-1, keepdims=True)
    # d p_j / d x_i = p_j (1[i = j] - p_i) / temperature
    expected = 2 * p * (weight - np.sum(p * weight, axis=-1, keepdims=True))
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("generator", GENERATORS)
def test_texts_are_drawn_from_the_captioner_and_end(generator):
    objective, (params, collections) = make(generator), initial(generator)
    params = params | {"generator": jax.tree.map(lambda leaf: 5 * leaf, params["generator"])}  # some end early
    words = np.asarray(jax.jit(objective.draw)(params, collections, BATCH, jax.random.key(3)))
    assert words.shape == (B, T, V)
    assert set(np.unique(words)) == {0.0, 1.0} and np.all(words.sum(axis=-1) == 1)
    ids = words.argmax(axis=-1)
    ends = [list(row).index(END) for row in ids]
    assert min(ends) < max(ends)
    for row, end in zip(ids, ends):
        assert np.all(row[:end] > END) and np.all(row[end + 1 :] == PADDING)
    # What was fed back, one-hot, is what the captioner gets as ids: its logits plus the same noise have these maxima.
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(3), jnp.arange(B))
    noise = jax.vmap(lambda key: jax.random.gumbel(key, (T, V)))(keys)
    change = traverse_util.unflatten_dict(params["generator"], sep="/")
    total = jax.tree.map(jnp.add, params["pretraining"], change)
    logits = jax.jit(objective.captioner.network.apply)({"params": total}, BATCH, ids)
    for row, end, likeliest in zip(ids, ends, np.argmax(logits + noise, axis=-1)):
        drawn = min(end + 1, T - 1)  # the last place is END whatever is drawn
        np.testing.assert_array_equal(row[:drawn], likeliest[:drawn])


@pytest.mark.slow
def test_pretraining_is_the_autoregressive_objective():
    objective, (params, collections) = make(), initial()
    shared = {"generator": objective.generator, "modality": TEXT, "target": "text"}
    captioner = autoregressive.Objective(conditioner=objective.conditioner, **shared)
    own = {"generator": params["pretraining"]}, {"generator": collections["pretraining"]}
    key = jax.random.key(1)
    value, (_, metrics) = jax.jit(objective.loss, static_argnums=0)("pretraining", params, collections, BATCH, key)
    expected, (_, expected_metrics) = jax.jit(captioner.loss, static_argnums=0)("generator", *own, BATCH, key)
    np.testing.assert_array_equal(value, expected)
    assert metrics.keys() == expected_metrics.keys()

    def sample(objective, *state, **fields):
        changed = dataclasses.replace(objective, temperature=0.7, **fields)
        return np.asarray(jax.jit(changed.sample)(*state, BATCH, key)["text"])

    without = sample(objective, params, collections, strength=0.0)
    np.testing.assert_array_equal(without, sample(captioner, *own))
    assert np.any(without != sample(objective, params, collections))


@pytest.mark.slow
def test_each_phase_trains_its_own_player():
    objective, (params, collections) = make(mismatch=0.5, likelihood_weight=0.5), initial()

    @functools.partial(jax.jit, static_argnums=0)
    def gradients(player, batch):
        """With respect to all players' parameters, and metrics."""

        def loss(params):
            value, (_, metrics) = objective.loss(player, params, collections, batch, jax.random.key(2), 5)
            return value, metrics

        grads, metrics = jax.grad(loss, has_aux=True)(params)
        return {name: optax.global_norm(tree) for name, tree in grads.items()} | {"of": grads[player]}, metrics

    norms, metrics = gradients("discriminator", BATCH)
    assert norms["discriminator"] > 1e-2 and norms["pretraining"] == norms["generator"] == 0
    assert {"logits_real", "logits_fake", "logits_wrong"} == metrics.keys()
    norms, metrics = gradients("generator", BATCH)
    assert norms["generator"] > 1e-2
    assert {"logits_fake", "nll_per_token", "tokens_per_example", "words_per_example"} <= metrics.keys()
    np.testing.assert_allclose(norms["generator"], norms["pretraining"], rtol=1e-5)  # the change is added to it

    # A text that an example lacks does not count, whatever stands there.
    mask = np.arange(B) != 2
    spoiled = np.where(mask[:, None], CAPTIONS, 3)
    first, other = (
        gradients("discriminator", {**BATCH, "text": captions, "text/mask": mask})[0]["of"]
        for captions in (CAPTIONS, spoiled)
    )
    jax.tree.map(np.testing.assert_array_equal, first, other)
    assert not np.allclose(optax.global_norm(first), norms["discriminator"])


@pytest.mark.slow
def test_the_generator_learns_what_the_discriminator_wants():
    """Against one that likes texts of the one word `d`."""
    objective, (params, collections) = make(likelihood_weight=0.0), initial()
    wanted = TOKENIZER.encode("d", T)[0]
    optimizer = optax.adam(0.02)

    @jax.jit
    def step(change, opt, number):
        def loss(change):
            words = objective.draw(params | {"generator": change}, collections, BATCH, jax.random.fold_in(key, number))
            return -jnp.mean(words[:, 0, wanted] + words[:, 1, END]) / 2

        value, grads = jax.value_and_grad(loss)(change)
        updates, opt = optimizer.update(grads, opt)
        return optax.apply_updates(change, updates), opt, -value

    key, change, opt = jax.random.key(4), params["generator"], optimizer.init(params["generator"])
    shares = []
    for number in range(100):
        change, opt, share = step(change, opt, number)
        shares.append(float(share))
    assert np.mean(shares[:5]) < 0.4 and np.mean(shares[-10:]) > 0.9


def test_the_discriminator_reads_words_and_conditions_and_no_padding():
    network = sequence.Discriminator(features=16, dropout=0.5, spectral_norm=True)
    condition = Condition(
        jnp.zeros((B, 1, 5)), jnp.ones((B, 1), bool), jnp.asarray(RNG.normal(size=(B, 5)), jnp.float32)
    )
    words = np.eye(V, dtype=np.float32)[CAPTIONS]
    variables = jax.jit(network.init)(jax.random.key(0), words, condition)
    call = jax.jit(network.apply)
    logits = call(variables, words, condition)
    assert logits.shape == (B,) and np.std(logits) > 0.01
    longer = np.concatenate([words, np.eye(V, dtype=np.float32)[np.full((B, 4), PADDING)]], axis=1)
    np.testing.assert_allclose(call(variables, longer, condition), logits, atol=1e-5)
    exchanged = variables["params"]["embed"]["kernel"].at[PADDING].set(9.0)
    variables = {**variables, "params": variables["params"] | {"embed": {"kernel": exchanged}}}
    np.testing.assert_array_equal(call(variables, words, condition), logits)

    first = np.concatenate([words[:, 1:2], words[:, :1], words[:, 2:]], axis=1)  # another order of words
    several = CAPTIONS[:, 0] != CAPTIONS[:, 1]
    assert np.all(np.abs(call(variables, first, condition) - logits)[several] > 1e-5)
    assert np.all(np.abs(call(variables, words, condition.replace(pooled=-condition.pooled)) - logits) > 1e-5)
    gradient = jax.grad(lambda words: jnp.sum(call(variables, words, condition)))(words)
    assert np.all(np.abs(gradient).max(axis=-1)[CAPTIONS != PADDING] > 1e-6)


def test_relaxation_goes_from_its_first_to_its_last():
    objective = make(gumbel_temperature=(1.0, 0.25), anneal_steps=(10, 20))
    temperatures = [objective._temperature(jnp.int32(step)) for step in (0, 10, 15, 20, 99)]
    np.testing.assert_allclose(temperatures, [1.0, 1.0, 0.5, 0.25, 0.25], rtol=1e-6)


@pytest.mark.parametrize(
    "fields, expected",
    [
        ({"modality": CLASS}, "expected a text, 'text' is of kind 'label'"),
        ({"gumbel_temperature": (1.0, 0.0)}, "gumbel_temperature: expected two temperatures above 0"),
        ({"anneal_steps": (5, 4)}, "anneal_steps: expected a first and a last step"),
        ({"temperature": -1.0}, "temperature: expected at least 0"),
        ({"loss_type": "hing"}, "loss_type: expected one of"),
    ],
)
def test_settings_that_do_not_exist_are_refused(fields, expected):
    with pytest.raises(ValueError, match=expected):
        dataclasses.replace(make(), **fields)
