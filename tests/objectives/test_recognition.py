"""Recognition: its loss in closed form, what it learns, and the accuracy and retrieval that judge it."""

import dataclasses
import functools
import itertools
import types

import jax
import numpy as np
import optax
import pytest
from tiny import Training

from mmgen_jax.config import override, schema
from mmgen_jax.evaluators import class_retrieval, label_accuracy
from mmgen_jax.networks.layers import randomness
from mmgen_jax.objectives import recognition
from mmgen_jax.objectives.parts import mixup
from mmgen_jax.runs.sampler import Sampler
from mmgen_jax.training import parallel
from mmgen_jax.training.state import averaged

RNG = np.random.default_rng(0)


def config(encoders, **train):
    config = schema.base()
    config.data = {"name": "scenes", "names": ("image", "text", "color"), "image_size": 16, "num_train": 256}
    config.encoders = encoders
    config.fusion = {"name": "concat", "features": 16}
    config.objective = {"name": "recognition", "target": "color", "label_smoothing": 0.0, "dropout": 0.0}
    config.optimizers = {"classifier": {"lr": 1e-2}}
    config.train.update({"steps": 60, "batch_size": 32} | train)
    config.parallel.num_devices = 1
    return config.lock()


HISTOGRAM = {"colour": {"name": "image.colour", "modality": "image", "features": 16}}
BOTH = HISTOGRAM | {"edge": {"name": "image.edge", "modality": "image", "features": 16}}


@pytest.fixture(scope="module")
def trained():
    training = Training(config(BOTH | {"text": {"name": "text.embedding", "features": 16}}))
    state, metrics = training.run(60)
    sampler = Sampler(training.system, parallel.create("jit", 32, num_devices=1), batch_size=32)
    return training, sampler.load(*averaged(state)), metrics


@functools.cache
def started():
    """A model with two encoders of one modality at its start, and a batch."""
    training = Training(config(BOTH))
    return training, training.run(0)[0], next(iter(training.batches()))


def loss(objective, state, batch):
    run = jax.jit(functools.partial(objective.loss, "classifier"))
    value, (_, metrics) = run(state.params, state.collections, batch, jax.random.key(0))
    return float(value), {name: float(metric) for name, metric in metrics.items()}


def log_probabilities(objective, state, batch, label="color"):
    """Logits and their log-softmax `[B, K]`, float64."""
    logits = np.asarray(jax.jit(objective._apply)(state.params, state.collections, batch)[0][label], np.float64)
    return logits, logits - np.log(np.exp(logits).sum(1, keepdims=True))


def test_loss_is_the_smoothed_cross_entropy_of_the_examples_that_have_the_label():
    training, state, batch = started()
    objective = dataclasses.replace(training.objective, label_smoothing=0.2)
    logits, log_p = log_probabilities(objective, state, batch)
    target = 0.8 * np.eye(6)[batch["color"]] + 0.2 / 6
    expected, right = -(target * log_p).sum(1), logits.argmax(1) == batch["color"]

    value, metrics = loss(objective, state, batch)
    assert value == pytest.approx(expected.mean(), rel=1e-5)
    assert metrics["accuracy"] == pytest.approx(right.mean())

    mask = np.arange(32) % 3 > 0
    value, metrics = loss(objective, state, batch | {"color/mask": mask})
    assert value == pytest.approx(expected[mask].mean(), rel=1e-5)
    assert metrics["accuracy"] == pytest.approx(right[mask].mean(), rel=1e-5)


@pytest.mark.slow
def test_several_encoders_of_one_modality_all_get_gradients():
    training, state, batch = started()
    assert training.system.conditions == ("image",)

    @jax.jit
    @jax.grad
    def gradient(params):
        return training.objective.loss("classifier", params, state.collections, batch, jax.random.key(0))[0]

    gradients = gradient(state.params)["classifier"]
    for encoder in ("encoders_colour", "encoders_edge"):
        assert float(optax.global_norm(gradients["conditioner"][encoder])) > 1e-4, encoder


def test_dropout_is_of_training_alone():
    training, state, batch = started()
    objective = dataclasses.replace(training.objective, dropout=0.9)
    run = jax.jit(functools.partial(objective.loss, "classifier"))
    losses = {float(run(state.params, state.collections, batch, jax.random.key(i))[0]) for i in (0, 1)}
    assert len(losses) == 2
    expected, given = (
        jax.jit(each.embed)(state.params, state.collections, batch, None) for each in (training.objective, objective)
    )
    np.testing.assert_array_equal(given, expected)


@pytest.mark.slow
def test_mixup_is_the_loss_of_mixed_pictures_and_mixed_labels():
    training, state, batch = started()
    objective = dataclasses.replace(training.objective, mixup=0.4, label_smoothing=0.1)
    rng = jax.random.key(0)
    keys = randomness.example_keys(jax.random.fold_in(rng, recognition.MIXUP), 32)
    weight = np.asarray(mixup.mixup_weights(keys, 0.4), np.float64)
    assert 0.05 < weight.mean() < 0.95 and weight.std() > 0.2

    before = np.roll(np.arange(32), 1)  # the partner of each
    pictures = weight[:, None, None, None] * batch["image"]
    pictures += (1 - weight)[:, None, None, None] * batch["image"][before]
    _, log_p = log_probabilities(objective, state, {"image": pictures.astype(np.float32)})
    of_each = -(0.9 * log_p + 0.1 * log_p.mean(1, keepdims=True))  # [B, K], of the label k
    own, partners = (of_each[np.arange(32), batch["color"][rows]] for rows in (np.arange(32), before))
    predicted = log_p.argmax(1)
    right = weight * (predicted == batch["color"]) + (1 - weight) * (predicted == batch["color"][before])

    value, metrics = loss(objective, state, batch)
    assert value == pytest.approx((weight * own + (1 - weight) * partners).mean(), rel=1e-5)
    assert metrics["accuracy"] == pytest.approx(right.mean(), rel=1e-5)

    mask = np.arange(32) % 3 > 0  # of the label: either example counts where it has one
    value, _ = loss(objective, state, batch | {"color/mask": mask})
    counted = weight * mask * own + (1 - weight) * mask[before] * partners
    assert value == pytest.approx(counted.sum() / mask.sum(), rel=1e-5)


def test_mixup_does_not_see_what_is_masked():
    training, state, batch = started()
    objective = dataclasses.replace(training.objective, mixup=0.4)
    mask = np.arange(32) % 3 > 0
    values = [loss(objective, state, batch | {"image/mask": mask})[0]]
    broken = np.where(mask[:, None, None, None], batch["image"], np.nan)
    values.append(loss(objective, state, batch | {"image": broken, "image/mask": mask})[0])
    assert values[0] == values[1]


def several(auxiliary_labels, **fields):
    changed = config(HISTOGRAM).unlock()
    changed.data.names = ("image", "text", "color", "shape")
    changed.objective.update({"auxiliary_labels": auxiliary_labels} | fields)
    return Training(changed.lock())


def test_several_labels_share_all_but_their_heads():
    training = several({"shape": 0.5})
    state, _ = training.run(0)
    batch = next(iter(training.batches()))
    params = state.params["classifier"]
    assert set(params) == {"conditioner", "head", "head_shape"}
    expected = {}
    for label in ("color", "shape"):
        logits, log_p = log_probabilities(training.objective, state, batch, label)
        expected[label] = -log_p[np.arange(32), batch[label]].mean(), (logits.argmax(1) == batch[label]).mean()

    value, metrics = loss(training.objective, state, batch)
    assert value == pytest.approx(expected["color"][0] + 0.5 * expected["shape"][0], rel=1e-5)
    assert metrics == pytest.approx({"accuracy": expected["color"][1], "accuracy_shape": expected["shape"][1]})
    sampler = Sampler(training.system, parallel.create("jit", 32, num_devices=1), batch_size=32)
    drawn = sampler.load(*averaged(state))({"image": batch["image"], "color": batch["color"]})
    for label in ("color", "shape"):
        np.testing.assert_array_equal(
            drawn[label], log_probabilities(training.objective, state, batch, label)[0].argmax(1)
        )


def test_what_recognition_cannot_do_is_refused():
    text = {"text": {"name": "text.embedding", "features": 16}}
    for make, message in (
        (lambda: several({}, target="text"), r"objective.target: expected a label, 'text' is of kind 'text'"),
        (
            lambda: several({"text": 1.0}),
            r"objective.auxiliary_labels: expected labels other than the target \(shape\), got 'text'",
        ),
        (lambda: several({"color": 1.0}), r"other than the target \(shape\), got 'color'"),
        (lambda: several({}, mixup=-0.5), r"config\.objective\.mixup: expected a number, at least 0, got -0\.5"),
        (
            lambda: Training(override.override(config(text), {"objective.mixup": 0.4})),
            "mixup: 'text' is of kind 'text'",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            _ = make().system


@pytest.mark.slow
def test_it_learns_the_class_and_evaluators_find_it(trained):
    training, sampler, metrics = trained
    assert np.mean(metrics["classifier/accuracy"][-10:]) > 0.9 > 0.5 > metrics["classifier/accuracy"][0]
    source = Training(override.override(training.config, {"seed": 1})).source
    batch = source.read(np.arange(100), np.zeros(100, int))
    accuracy = label_accuracy.Evaluator("color")(sampler, [batch])["accuracy"]
    assert accuracy["value"] > 0.75 and accuracy["n"] == 100
    retrieval = class_retrieval.Evaluator("color")(sampler, [batch])
    assert retrieval["recall@1"]["value"] > 0.7 > 2 * retrieval["recall@1"]["chance"]


def test_predictions_and_embeddings_do_not_read_the_label(trained):
    training, sampler, _ = trained
    batch = training.source.read(np.arange(40), np.zeros(40, int))
    without = {name: rows for name, rows in batch.items() if name != "color"}
    np.testing.assert_array_equal(sampler(batch)["color"], sampler(without)["color"])
    assert sampler.embed(batch).shape == (40, 16)
    np.testing.assert_array_equal(sampler.embed(batch), sampler.embed(without))


def test_label_accuracy_of_known_predictions():
    labels = np.array([0, 1, 1, 2, 2, 2, 0, 1], np.int32)
    predicted = np.array([0, 1, 0, 2, 2, 0, 0, 1], np.int32)
    mask = np.array([True] * 6 + [False] * 2)
    batches = [{"kind": labels[:5], "kind/mask": mask[:5], "row": np.arange(5)}]
    batches += [{"kind": labels[5:], "kind/mask": mask[5:], "row": np.arange(5, 8)}]
    entry = label_accuracy.Evaluator("kind")(lambda batch: {"kind": predicted[batch["row"]]}, batches)["accuracy"]
    assert entry["value"] == 4 / 6 and entry["n"] == 6 and entry["baseline"] == 3 / 6
    low, high = entry["interval"]
    assert 0.2 < low < 4 / 6 < high < 1


def test_retrieval_is_the_brute_force_over_pairs():
    vectors, labels = RNG.normal(size=(40, 5)), RNG.integers(0, 4, 40).astype(np.int32)
    vectors[7] = 0  # no direction: similarity 0 to all
    hits = {1: 0, 3: 0, 10: 0}
    for i, j in itertools.product(range(40), hits):
        others = [other for other in range(40) if other != i]
        norms = np.linalg.norm(vectors, axis=1) + 1e-12
        near = sorted(others, key=lambda o: -vectors[i] @ vectors[o] / (norms[i] * norms[o]))[:j]
        hits[j] += any(labels[o] == labels[i] for o in near)
    sample_fn = types.SimpleNamespace(embed=lambda batch: vectors[batch["row"]])
    batches = [{"kind": labels[i : i + 16], "row": np.arange(40)[i : i + 16]} for i in range(0, 40, 16)]
    entries = class_retrieval.Evaluator("kind", ranks=tuple(hits))(sample_fn, batches)
    assert {k: entries[f"recall@{k}"]["value"] for k in hits} == {k: hits[k] / 40 for k in hits}
    # Length does not matter, direction alone does.
    scaled = vectors * RNG.uniform(0.1, 10, (40, 1))
    np.testing.assert_array_equal(
        class_retrieval.same_class(scaled, labels, 10), class_retrieval.same_class(vectors, labels, 10)
    )


def test_chance_is_what_random_neighbours_find():
    labels = np.repeat(np.arange(4), (12, 5, 2, 1))
    found = np.zeros(3)
    for _ in range(3000):
        order = [RNG.permutation(np.delete(np.arange(20), i))[:5] for i in range(20)]
        same = labels[np.array(order)] == labels[:, None]
        found += [same[:, :k].any(1).mean() / 3000 for k in (1, 2, 5)]
    chance = [class_retrieval.random_recall(labels, k) for k in (1, 2, 5)]
    np.testing.assert_allclose(chance, found, atol=0.01)


def test_a_split_smaller_than_the_rank_is_refused():
    sample_fn = types.SimpleNamespace(embed=lambda batch: np.eye(8))
    with pytest.raises(ValueError, match="more examples than the largest rank 10, got 8"):
        class_retrieval.Evaluator("kind")(sample_fn, [{"kind": np.zeros(8, np.int32)}])
