"""The contrastive loss against its definition, on one device and many, and what it learns."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from tiny import Training, mapped_by

from mmgen_jax.config import override, schema
from mmgen_jax.config.system import open_source
from mmgen_jax.evaluators import retrieval_recall
from mmgen_jax.networks.layers import mapped
from mmgen_jax.runs.sampler import Sampler
from mmgen_jax.training import parallel
from mmgen_jax.training.state import averaged

LOSSES = ("info_nce", "sigmoid")


def config(loss_type="info_nce", **train):
    config = schema.base()
    config.data = {"name": "scenes", "names": ("image", "shape", "text"), "image_size": 16}
    config.encoders = {"image": {"name": "image.colour", "features": 16}, "shape": {"name": "label", "features": 16}}
    config.fusion = {"name": "concat", "features": 16}
    config.target_encoder = {"name": "text.embedding", "features": 16}
    config.objective = {"name": "contrastive", "target": "text", "embedding_dim": 12, "loss_type": loss_type}
    config.optimizers = {"encoder": {"lr": 1e-2}}
    config.train.update({"steps": 60, "batch_size": 16} | train)
    config.parallel.num_devices = 1
    return config.lock()


@functools.cache
def started():
    """A model at its start, a batch with masks, and which of its examples count."""
    training = Training(config())
    state, batch = jax.device_get(training.run(0)[0]), next(iter(training.batches()))
    no_text, no_image, no_shape = (np.isin(np.arange(16), rows) for rows in ([2, 9], [3, 4, 11], [4, 5]))
    masks = {"text/mask": ~no_text, "image/mask": ~no_image, "shape/mask": ~no_shape}
    return training, state, batch | masks, ~no_text & ~(no_image & no_shape)


def measure(objective, state, batch):
    run = jax.jit(functools.partial(objective.loss, "encoder"))
    value, (_, metrics) = run(state.params, state.collections, batch, jax.random.key(0))
    return float(value), {name: float(metric) for name, metric in metrics.items()}


def of_type(training, state, loss_type):
    """The objective with another loss, and parameters that fit it."""
    objective = dataclasses.replace(training.objective, loss_type=loss_type, temperature=0.1, bias=-3.0)
    scalars = {"log_scale": np.log(10.0)} | ({"logit_bias": -3.0} if loss_type == "sigmoid" else {})
    params = {"encoder": dict(state.params["encoder"]) | scalars}
    return objective, dataclasses.replace(state, params=params)


@pytest.mark.slow
def test_a_scale_at_its_limit_stays_there_and_can_come_down():
    training, state, batch, _ = started()

    def run(log_scale):
        params = {"encoder": dict(state.params["encoder"]) | {"log_scale": log_scale}}
        return training.objective.loss("encoder", params, state.collections, batch, jax.random.key(0))[0]

    at, beyond = (jax.value_and_grad(run)(np.float32(np.log(scale))) for scale in (100, 150))
    np.testing.assert_allclose(at, beyond, rtol=1e-4)
    assert beyond[1] > 0  # pairs are not told apart yet: the loss falls as the scale does


@pytest.mark.parametrize("loss_type", LOSSES)
def test_loss_is_its_definition_over_the_examples_that_count(loss_type):
    training, state, batch, counts = started()
    objective, state = of_type(training, state, loss_type)
    pair = jax.jit(objective.embed_pair)(state.params, state.collections, batch, None)
    a, b = (np.asarray(vectors, np.float64)[counts] for vectors in pair)
    np.testing.assert_allclose(np.linalg.norm(a, axis=1), 1, rtol=1e-4)
    logits = 10 * a @ b.T
    if loss_type == "info_nce":
        rows, columns = (logits - np.log(np.exp(logits).sum(axis, keepdims=True)) for axis in (1, 0))
        expected = -(np.diag(rows) + np.diag(columns)).mean() / 2
    else:
        signed = np.where(np.eye(len(a)), 1, -1) * (logits - 3)
        expected = np.log1p(np.exp(-signed)).sum(1).mean()
    value, metrics = measure(objective, state, batch)
    assert value == pytest.approx(expected, rel=1e-4)
    assert metrics["accuracy"] == pytest.approx((logits.argmax(1) == np.arange(len(a))).mean(), abs=1e-6)
    assert metrics["scale"] == pytest.approx(10, rel=1e-5)


@pytest.mark.parametrize("loss_type", LOSSES)
def test_what_stands_in_masked_examples_does_not_matter(loss_type):
    training, state, batch, _ = started()
    objective, state = of_type(training, state, loss_type)
    other = dict(batch)
    for name, wrong in (("text", 5), ("image", np.nan), ("shape", 2)):
        other[name] = np.where(batch[f"{name}/mask"].reshape(-1, *[1] * (batch[name].ndim - 1)), batch[name], wrong)
        other[name] = other[name].astype(batch[name].dtype)
    assert measure(objective, state, other) == measure(objective, state, batch)

    @jax.jit
    @jax.grad
    def gradient(params):
        return objective.loss("encoder", params, state.collections, other, jax.random.key(0))[0]

    gradients = gradient(state.params)["encoder"]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    assert abs(gradients["log_scale"]) > 1e-6 and ("logit_bias" not in gradients or abs(gradients["logit_bias"]) > 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("loss_type", LOSSES)
def test_negatives_and_gradients_are_of_the_global_batch_under_pmap(loss_type):
    training, state, batch, _ = started()
    objective, state = of_type(training, state, loss_type)

    def gradient(batch):
        def loss(params):
            value, (_, metrics) = objective.loss("encoder", params, state.collections, batch, jax.random.key(0))
            return value, metrics | {"loss": value}

        return jax.grad(loss, has_aux=True)(state.params)

    expected = jax.jit(gradient)(batch)
    parts = {name: rows.reshape(8, 2, *rows.shape[1:]) for name, rows in batch.items()}
    got = mapped_by(jax.pmap, lambda rows: mapped.mean(gradient(rows)))(parts)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected)):
        np.testing.assert_allclose(a[0], b, rtol=2e-3, atol=2e-6)


@pytest.mark.slow
def test_it_learns_to_find_the_caption_of_a_scene_and_back():
    training = Training(config(steps=100, batch_size=64))
    state, metrics = training.run(100)
    assert np.mean(metrics["encoder/accuracy"][-10:]) > 4 * np.mean(metrics["encoder/accuracy"][:2])
    sampler = Sampler(training.system, parallel.create("jit", 50, num_devices=1), batch_size=50)
    sampler.load(*averaged(state))
    source = open_source(training.config, "test")
    batch = source.read(np.arange(200), np.zeros(200, int))
    entries = retrieval_recall.Evaluator("text")(sampler, [batch])
    for direction in ("to_target", "from_target"):
        entry = entries[f"{direction}/recall@10"]
        assert entry["value"] > 4 * entry["chance"] and entry["n"] == 200
    # The conditions' own vector is the one that pairs are made of, and does not read the target.
    without = {name: rows for name, rows in batch.items() if name != "text"}
    np.testing.assert_allclose(sampler.embed(without), sampler.embed_pair(batch)[0], atol=1e-5)
    assert not sampler.supports("sample")
    with pytest.raises(ValueError, match="has no 'sample'"):
        sampler(batch)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"loss_type": "triplet"}, "objective.loss_type: expected one of info_nce, sigmoid, got 'triplet'"),
        ({"target": "image"}, "objective.target: 'image' is also a condition"),
    ],
)
def test_what_cannot_be_trained_is_refused(fields, expected):
    with pytest.raises(ValueError, match=expected):
        _ = Training(override.override(config(), {f"objective.{k}": v for k, v in fields.items()})).system
