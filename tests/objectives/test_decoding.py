"""Decoding against the enumeration of every sequence of a small model that remembers what it has drawn."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmgen_jax.modalities.tokenizer import END, PADDING
from mmgen_jax.objectives.parts import decoding

V, LENGTH, STATES, BATCH = 4, 4, 97, 3
RNG = np.random.default_rng(1)
TABLE = RNG.normal(size=(BATCH, STATES, V)).astype(np.float32) * 1.5
TABLE[..., PADDING] = decoding.LOWEST


def next_state(state, token):
    return (state * V + token + 1) % STATES


def start():
    return {"state": jnp.zeros(BATCH, jnp.int32), "table": jnp.asarray(TABLE)}


def step(cache, token, position):
    state = next_state(cache["state"], token)
    logits = jnp.take_along_axis(cache["table"], state[:, None, None], axis=1)[:, 0]
    return logits, cache | {"state": state}


def log_probabilities(example, ids, change=lambda logits: logits):
    """Of each token of `ids`, by the model whose logits `change` truncates."""
    state, token, values = 0, PADDING, []
    for i in ids:
        state = next_state(state, token)
        values.append(float(jax.nn.log_softmax(change(TABLE[example, state]))[i]))
        token = i
    return values


@functools.cache
def sequences(end):
    """Every sequence that decoding may give, without its padding."""
    if end is None:
        return list(itertools.product(range(1, V), repeat=LENGTH))
    words = [i for i in range(1, V) if i != end]
    return [(*body, end) for n in range(LENGTH) for body in itertools.product(words, repeat=n)]


def padded(ids):
    return (*ids, *[PADDING] * (LENGTH - len(ids)))


def test_truncation():
    logits = jnp.log(jnp.array([[0.1, 0.4, 0.2, 0.3], [0.7, 0.1, 0.1, 0.1]]))

    def kept(**fields):
        return jax.nn.softmax(decoding.truncate(logits, **fields))

    np.testing.assert_allclose(kept(), [[0.1, 0.4, 0.2, 0.3], [0.7, 0.1, 0.1, 0.1]], rtol=1e-5)
    np.testing.assert_allclose(kept(top_k=2)[0], [0, 4 / 7, 0, 3 / 7], rtol=1e-5)
    assert np.sum(kept(top_k=2)[1] > 0) == 2  # of three that are alike, one
    np.testing.assert_allclose(kept(top_p=0.69), [[0, 4 / 7, 0, 3 / 7], [1, 0, 0, 0]], rtol=1e-5)
    np.testing.assert_allclose(kept(top_p=0.71)[0], [0, 4 / 9, 2 / 9, 3 / 9], rtol=1e-5)
    np.testing.assert_allclose(kept(top_p=1e-9), [[0, 1, 0, 0], [1, 0, 0, 0]], rtol=1e-5)
    cold = np.array([0.1, 0.4, 0.2, 0.3]) ** 2
    np.testing.assert_allclose(kept(temperature=0.5)[0], cold / cold.sum(), rtol=1e-5)
    both = kept(temperature=0.5, top_p=0.5)[0]  # the nucleus of the colder distribution: 0.53 is in the first
    np.testing.assert_allclose(both, [0, 1, 0, 0], rtol=1e-5)


@pytest.mark.parametrize("fields", [{}, {"top_k": 2}, {"temperature": 0.7, "top_p": 0.8}], ids=str)
@pytest.mark.parametrize("end", [END, pytest.param(None, marks=pytest.mark.slow)])
def test_frequencies_are_the_models_probabilities(end, fields):
    num = 4000
    draw = functools.partial(decoding.draw, step, length=LENGTH, end=end, **fields)
    keys = jax.random.split(jax.random.key(0), (num, BATCH))
    drawn = np.asarray(jax.jit(jax.vmap(lambda keys: draw(start(), keys)))(keys))
    change = functools.partial(decoding.truncate, **fields)
    for example in range(BATCH):
        found, counts = np.unique(drawn[:, example], axis=0, return_counts=True)
        frequency = dict(zip(map(tuple, found.tolist()), counts / num))
        assert set(frequency) <= set(map(padded, sequences(end)))
        for ids in sequences(end):
            values = log_probabilities(example, ids, change)
            # The last place can only be the end, so it costs nothing.
            p = np.exp(sum(values[:-1] if end is not None and len(ids) == LENGTH else values))
            assert abs(frequency.get(padded(ids), 0) - p) < 5 * np.sqrt(p * (1 - p) / num) + 1e-3


def test_greedy_takes_the_likeliest_and_needs_no_key():
    keys = jax.random.split(jax.random.key(0), BATCH)
    greedy = jax.jit(lambda keys: decoding.draw(step, start(), keys, LENGTH, None, temperature=0.0))
    drawn = np.asarray(greedy(keys))
    np.testing.assert_array_equal(drawn, greedy(keys[::-1]))
    for example in range(BATCH):
        for n in range(LENGTH):
            options = [log_probabilities(example, (*drawn[example, :n], i))[-1] for i in range(1, V)]
            assert drawn[example, n] == 1 + int(np.argmax(options))
    cold = decoding.draw(step, start(), keys, LENGTH, None, temperature=1e-4)
    np.testing.assert_array_equal(drawn, cold)


@pytest.mark.parametrize("penalty", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("end", [END, None])
def test_a_wide_beam_finds_the_best_sequence(end, penalty):
    search = jax.jit(lambda: decoding.beam_search(step, start(), BATCH, LENGTH, end, V**LENGTH, penalty))
    found, score = search()
    for example in range(BATCH):
        scores = {}
        for ids in sequences(end):
            total = sum(log_probabilities(example, ids))
            scores[padded(ids)] = total if end is None else total / len(ids) ** penalty
        assert tuple(found[example].tolist()) == max(scores, key=scores.get)
        np.testing.assert_allclose(score[example], max(scores.values()), rtol=1e-4)


@pytest.mark.parametrize("beam_size", [1, 2])
def test_a_narrow_beam_gives_a_sequence_with_its_score(beam_size):
    found, score = decoding.beam_search(step, start(), BATCH, LENGTH, END, beam_size, 1.0)
    for example, ids in enumerate(np.asarray(found).tolist()):
        ids = ids[: ids.index(END) + 1]
        assert padded(ids) == tuple(found[example].tolist())
        np.testing.assert_allclose(score[example], np.mean(log_probabilities(example, ids)), rtol=1e-4)


def test_a_beam_of_one_without_an_end_is_greedy():
    found, _ = decoding.beam_search(step, start(), BATCH, LENGTH, None, 1)
    keys = jax.random.split(jax.random.key(0), BATCH)
    np.testing.assert_array_equal(found, decoding.draw(step, start(), keys, LENGTH, None, temperature=0.0))
