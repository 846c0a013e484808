"""Perplexity against its definition, beside a unigram model; the baseline that draws unigrams; exact likelihoods."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import ROOT, Training, shrink

from mmgen_jax import lookup
from mmgen_jax.baselines import base
from mmgen_jax.config import loading
from mmgen_jax.config.system import open_source
from mmgen_jax.errors import ConfigError
from mmgen_jax.evaluators import perplexity
from mmgen_jax.modalities.tokenizer import END, PADDING

DATA = {"name": "scenes", "names": ("text", "image"), "image_size": 16, "num_train": 64, "num_test": 24}


def batches():
    source = lookup.build("data", DATA, split="test", seed=0)
    for start in (0, 16):
        indices = np.arange(start, min(start + 16, len(source)))
        yield source.read(indices, np.zeros(len(indices), int))


class Likely:
    """A model that gives every unit the same log-probability, or those of a table."""

    def __init__(self, log_p):
        self.log_p = np.asarray(log_p)

    def elbo(self, batch):
        ids = batch["text"]
        return np.where(ids != PADDING, self.log_p[ids], 0).sum(axis=1)


def measured(log_p):
    return perplexity.Evaluator(data=DATA, target="text")(Likely(log_p), batches())["perplexity"]


def test_perplexity_of_uniform_choices_is_their_number_and_of_unigrams_the_baseline():
    source = lookup.build("data", DATA, seed=0)
    size = source.modalities["text"].vocab_size
    entry = measured(np.full(size, -np.log(7.0)))
    assert entry["value"] == pytest.approx(7) and entry["interval"] == pytest.approx([7, 7])
    ids = np.concatenate([batch["text"] for batch in batches()])
    assert entry["n"] == 24 and entry["units"] == (ids != PADDING).sum() and entry["vocabulary"] == size
    log_p = perplexity.unigram(source, "text", 10_000)
    assert np.exp(log_p).sum() == pytest.approx(1)
    entry = measured(log_p)
    assert entry["value"] == pytest.approx(entry["baseline"]) and 1 < entry["value"] < size
    assert entry["interval"][0] < entry["value"] < entry["interval"][1]


@pytest.fixture(scope="module")
def captioner():
    config = shrink(loading.load(f"{ROOT}/configs/audio_captioning.py:scenes"))
    with config.unlocked():
        config.parallel.num_devices = 1
    return Training(config)


@pytest.mark.slow
def test_the_likelihoods_of_all_continuations_add_up(captioner):
    """Of all texts that begin alike, where every position but one is fixed: the last step's probabilities sum to 1."""
    objective, state = captioner.objective, captioner.init()
    batch = captioner.source.read(np.arange(1), np.zeros(1, int))
    size, length = captioner.source.modalities["text"].vocab_size, batch["text"].shape[1]
    start = [3, 4, 5]
    ids = np.zeros((size - 1, length), np.int32)
    ids[:, :3], ids[:, 3] = start, np.arange(1, size)
    short = np.zeros((1, length), np.int32)
    short[0, :3] = start

    def nats(ids):
        rows = {"text": ids, "audio": np.repeat(batch["audio"], len(ids), axis=0)}
        return jax.jit(objective.elbo)(state.params, state.collections, rows, jax.random.key(0))

    np.testing.assert_allclose(jnp.exp(nats(ids) - nats(short)).sum(), 1, rtol=1e-4)
    value, (_, metrics) = objective.loss(
        "generator", state.params, state.collections, {**batch, "text": short}, jax.random.key(0)
    )
    assert metrics["tokens_per_example"] == 3 and np.isfinite(value)


def test_unigram_draws_have_the_frequencies_of_the_training_texts(captioner):
    config = captioner.config
    sampler = base.create("unigram", config, "text")
    batch = {"text": np.zeros((3000, 1), np.int32)}
    ids = sampler(batch)["text"]
    np.testing.assert_array_equal(ids, sampler.rewind()(batch)["text"])
    ends = (ids == END).argmax(axis=1)
    assert (ids == END).sum(axis=1).max() == 1
    assert all(not row[end + 1 :].any() and row[:end].all() for row, end in zip(ids, ends))
    source = open_source(config, names=("text",))
    true = source.read(np.arange(len(source)), np.zeros(len(source), int))["text"]
    counted = [np.bincount(rows[rows > END], minlength=200) / (rows > END).sum() for rows in (ids, true)]
    np.testing.assert_allclose(*counted, atol=0.02)
    with pytest.raises(ConfigError, match="expected a text, 'audio' is of kind 'audio'"):
        base.create("unigram", config, "audio")


def test_words_are_independent(captioner):
    ids = base.create("unigram", captioner.config, "text")({"text": np.zeros((4000, 1), np.int32)})["text"]
    pairs = [tuple(pair) for row in ids for pair in itertools.pairwise(row[row > END].tolist())]
    words = np.bincount(ids[ids > END])
    word = int(words.argmax())
    after = np.mean([b == word for a, b in pairs if a == word])
    assert after == pytest.approx(words[word] / words.sum(), abs=0.03)
