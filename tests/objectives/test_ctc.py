"""CTC: the loss and the beam search against sums over all alignments; texts without an alignment."""

import functools
import itertools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities import tokenizer
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.networks.conditioning.conditioner import Conditioner
from mmgen_jax.networks.conditioning.tokens import Tokens
from mmgen_jax.networks.fusion import concat
from mmgen_jax.objectives import ctc
from mmgen_jax.objectives.parts import ctc_decoding
from mmgen_jax.objectives.parts.decoding import LOWEST

WORDS = tokenizer.build(["a b"], open=False)
A, B, END = WORDS.encode("a b", 3).tolist()
NUM_IDS, FRAMES, LENGTH = WORDS.vocab_size, 4, 5
TEXT = Modality("text", (LENGTH,), tokenizer=WORDS)
CURVE = Modality("vector", (FRAMES, 3))


class Frames(nn.Module):
    """The frames themselves as tokens."""

    @nn.compact
    def __call__(self, array, mask, train: bool = False):
        return Tokens(array, jnp.broadcast_to(mask[:, None], array.shape[:2]))


def make(num_encoders: int = 1, **fields):
    encoders = {f"curve{i}": Frames() for i in range(num_encoders)}
    reads = dict.fromkeys(encoders, "curve")
    conditioner = Conditioner(encoders, concat.Fusion(features=8), reads, {"curve": CURVE})
    known = {"target": "text", "modality": TEXT, "modalities": {"text": TEXT, "curve": CURVE}}
    return ctc.Objective(**{**known, "conditioner": conditioner, **fields})


def texts(*words: str) -> np.ndarray:
    return np.stack([WORDS.encode(word, LENGTH) for word in words])


def batch_of(*words: str):
    curves = np.random.default_rng(0).normal(size=(len(words), FRAMES, 3)).astype(np.float32)
    return {"curve": curves, "text": texts(*words)}


def state_of(objective, batch):
    variables = jax.jit(objective.init)(jax.random.key(0), batch)["classifier"]
    return {"classifier": variables["params"]}, {"classifier": {}}


def by_alignments(log_p: np.ndarray, length: int = LENGTH) -> dict[tuple, float]:
    """`{labels: probability}` of `log_p [N, V]`, over every alignment."""
    found = {}
    for alignment in itertools.product(range(log_p.shape[1]), repeat=len(log_p)):
        labels = tuple(i for i, _ in itertools.groupby(alignment) if i)
        p = np.exp(sum(log_p[t, i] for t, i in enumerate(alignment)))
        found[labels] = found.get(labels, 0.0) + p
    return {labels: p for labels, p in found.items() if len(labels) <= length}


def random_log_p(seed: int, num_frames: int = 5, num_ids: int = 4) -> np.ndarray:
    logits = 2 * np.random.default_rng(seed).normal(size=(num_frames, num_ids))
    return np.asarray(jax.nn.log_softmax(logits))


def labels_of(row) -> tuple:
    return tuple(int(i) for i in row if i)


def test_beam_search_finds_the_most_probable_labels_of_all_alignments():
    rows = np.stack([random_log_p(seed) for seed in range(12)])
    every = jax.jit(lambda x: ctc_decoding.prefix_beam_search(x, jnp.ones(x.shape[:2], bool), 5, 300))
    found, scores = every(rows)
    better = 0
    greedy = ctc_decoding.best_alignment(rows, np.ones(rows.shape[:2], bool), 5)
    for log_p, row, score, simple in zip(rows, found, scores, greedy):
        known = by_alignments(log_p)
        best = max(known, key=known.__getitem__)
        assert labels_of(row) == best
        np.testing.assert_allclose(score, np.log(known[best]), atol=1e-4)
        assert labels_of(simple) in known
        better += known[best] > known[labels_of(simple)] * 1.0001
    assert better  # the best alignment is not always that of the best labels


@pytest.mark.parametrize("beam_size", [1, 3])
def test_the_score_of_a_narrow_beam_is_at_most_the_probability_of_its_labels(beam_size):
    rows = np.stack([random_log_p(seed) for seed in range(8)])
    found, scores = ctc_decoding.prefix_beam_search(rows, np.ones(rows.shape[:2], bool), 5, beam_size)
    for log_p, row, score in zip(rows, found, scores):
        assert score <= np.log(by_alignments(log_p)[labels_of(row)]) + 1e-4


def test_best_alignment_merges_repeats_and_removes_blanks():
    alignments = np.array([[1, 1, 0, 1, 2], [0, 0, 0, 0, 0], [3, 2, 2, 3, 0]])
    log_p = np.log(np.eye(4)[alignments] + 1e-3)
    found = ctc_decoding.best_alignment(log_p, np.ones((3, 5), bool), 4)
    assert [labels_of(row) for row in found] == [(1, 1, 2), (), (3, 2, 3)]
    shorter = ctc_decoding.best_alignment(log_p, np.arange(5) < np.array([[2], [5], [5]]), 2)
    assert [labels_of(row) for row in shorter] == [(1,), (), (3, 2)]


def test_masked_frames_are_as_absent_and_labels_stay_within_the_length():
    log_p = random_log_p(3, 6)[None]
    mask = np.arange(6)[None] < 4
    masked, score = ctc_decoding.prefix_beam_search(log_p, mask, 5, 50)
    absent, without = ctc_decoding.prefix_beam_search(log_p[:, :4], np.ones((1, 4), bool), 5, 50)
    np.testing.assert_array_equal(masked, absent)
    np.testing.assert_allclose(score, without, rtol=1e-6)
    short, _ = ctc_decoding.prefix_beam_search(np.log(np.eye(4)[[[1, 2, 1, 2, 3]]] + 1e-3), np.ones((1, 5), bool), 2, 5)
    assert short.shape == (1, 2)


def test_loss_is_minus_the_log_of_the_sum_over_all_alignments():
    objective, batch = make(), batch_of("a b", "a a", "b")
    params, collections = state_of(objective, batch)
    logits, _ = jax.jit(objective.network.apply)({"params": params["classifier"]}, batch)
    log_p = np.asarray(jax.nn.log_softmax(logits), np.float64)
    known = [by_alignments(np.maximum(rows, LOWEST)) for rows in log_p]
    nll = -sum(np.log(p[labels]) for p, labels in zip(known, [(A, B), (A, A), (B,)]))
    loss, (_, metrics) = jax.jit(functools.partial(objective.loss, "classifier"))(
        params, collections, batch, jax.random.key(0)
    )
    np.testing.assert_allclose(loss, nll / 5, rtol=1e-4)  # five ids
    assert metrics["unalignable"] == 0


def loss_of(objective, own, batch):
    return objective.loss("classifier", {"classifier": own}, {"classifier": {}}, batch, jax.random.key(0))[0]


def value_and_grad(objective, params, batch):
    return jax.jit(jax.value_and_grad(lambda own: loss_of(objective, own, batch)))(params["classifier"])


def test_a_text_without_an_alignment_counts_as_a_masked_text():
    """Four ids a need seven frames; optax alone gives 1e5 nats."""
    objective = make()
    batch = batch_of("a b", "a a a a", "b")
    params, collections = state_of(objective, batch)
    got = value_and_grad(objective, params, batch)
    masked = batch | {"text/mask": np.array([True, False, True])}
    expected = value_and_grad(objective, params, masked)
    assert got[0] < 100
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected)):
        np.testing.assert_array_equal(a, b)
    _, (_, metrics) = objective.loss("classifier", params, collections, batch, jax.random.key(0))
    assert metrics["unalignable"] == pytest.approx(1 / 3)
    _, (_, metrics) = objective.loss("classifier", params, collections, masked, jax.random.key(0))
    assert metrics["unalignable"] == 0


def test_texts_without_an_alignment_are_named():
    class Source:
        rows = texts("a b", "a a a", "b b b")

        def __len__(self):
            return len(self.rows)

        def read(self, indices, epochs):
            return {"text": self.rows[indices]}

    (line,) = make().warnings(Source())
    assert "2 texts need more frames than the 4" in line and "a a a" in line and "example 1" in line and "5" in line
    Source.rows = texts("a b", "a a")
    assert not make().warnings(Source())


@pytest.mark.parametrize("beam_size", [1, 8])
def test_a_sample_is_a_text_with_one_end(beam_size):
    objective, batch = make(beam_size=beam_size), batch_of("a b", "a a", "b")
    state = state_of(objective, batch)
    ids = np.asarray(jax.jit(objective.sample)(*state, batch, jax.random.key(0))["text"])
    assert ids.shape == (3, LENGTH)
    for row in ids:
        assert (row == END).sum() == 1 and not row[row.tolist().index(END) + 1 :].any()
    other = batch | {"text": np.zeros_like(batch["text"])}
    np.testing.assert_array_equal(ids, objective.sample(*state, other, jax.random.key(1))["text"])


@pytest.mark.slow
def test_a_few_steps_on_three_texts_are_learned():
    objective, batch = make(beam_size=4), batch_of("a b", "a a", "b")
    batch["curve"] = np.eye(3, dtype=np.float32)[[[0, 0, 1, 1], [0, 2, 0, 2], [2, 1, 1, 2]]]
    params, collections = state_of(objective, batch)
    grad = jax.jit(jax.value_and_grad(lambda own: loss_of(objective, own, batch)))
    own = params["classifier"]
    for _ in range(300):
        _, grads = grad(own)
        own = jax.tree.map(lambda p, g: p - 0.3 * g, own, grads)
    drawn = objective.sample({"classifier": own}, collections, batch, jax.random.key(0))["text"]
    np.testing.assert_array_equal(drawn, batch["text"])


def test_what_cannot_be_aligned_is_refused():
    with pytest.raises(ConfigError, match="one encoder, got 2"):
        make(num_encoders=2)
    label = Modality("label", classes=("a", "b"))
    with pytest.raises(ConfigError, match="expected a text, 'label' is of kind 'label'"):
        make(target="label", modality=label, modalities={"label": label, "curve": CURVE})
