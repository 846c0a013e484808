"""Translation that keeps the class: the classifiers, their term in the generators' loss, refusals."""

import jax
import numpy as np
import pytest
import tiny

from mmgen_jax.config import loading, schema
from mmgen_jax.errors import ConfigError, InputError
from mmgen_jax.modalities.modality import MASK_SUFFIX
from mmgen_jax.training.optimizers import check_stages

SMALL = {"name": "small_digits", "of": "image", "image_size": 8}
SETS = {"a": {**SMALL, "part": (0, 2)}, "b": {**SMALL, "part": (1, 2)}}
OBJECTIVE = {
    "name": "cycle_semantic",
    "targets": ("a", "b"),
    "labels": {"a": "a_digit", "b": "b_digit"},
    "pool": 5,
}


def config(mode="jit", num_devices=1, objective=None, **changes):
    base = schema.base()
    base.data = {"name": "unpaired", "sets": SETS}
    base.aligned = ("a", "b")
    base.target_encoder = {"name": "image.cnn", "features": 16, "channels": (16, 16)}
    base.generator = {"name": "resnet_translation", "width": 4, "num_stages": 1, "num_blocks": 1}
    base.discriminator = {"name": "patch", "width": 4, "num_stages": 1}
    base.objective = OBJECTIVE | (objective or {})
    base.optimizers = {"classifier": {"lr": 3e-3}, "discriminator": {"lr": 1e-3}, "generator": {"lr": 1e-3}}
    base.train.update({"batch_size": 8, "steps": 2, "log_steps": 1, "checkpoint_steps": 1, "sample_steps": 0})
    base.parallel.update({"mode": mode, "num_devices": num_devices})
    base.update(changes)
    return loading.checked(base)


@pytest.fixture(scope="module")
def initial():
    """`(params, collections, batch)` before the first step; the batch lacks a picture and a label."""
    training = tiny.Training(config())
    batch = training.source.read(np.arange(8), np.zeros(8, int))
    batch |= {"a" + MASK_SUFFIX: np.arange(8) != 2, "a_digit" + MASK_SUFFIX: np.arange(8) != 5}
    variables = training.objective.init(jax.random.key(0), batch)
    params = {player: tree["params"] for player, tree in variables.items()}
    rest = {player: {k: v for k, v in tree.items() if k != "params"} for player, tree in variables.items()}
    return params, rest, batch


def loss(initial, player, **fields):
    objective = tiny.Training(config(objective=fields)).objective
    value, (_, metrics) = objective.loss(player, *initial, jax.random.key(1))
    return float(value), {name: float(metric) for name, metric in metrics.items()}


def cross_entropy(objective, initial, name, pictures, labels):
    """Written out with NumPy, from the classifier's logits."""
    params, collections, _ = initial
    variables = {"params": params["classifier"], **collections["classifier"]}
    logits = np.asarray(objective.networks["classifier"].apply(variables, name, pictures), np.float64)
    return np.log(np.exp(logits).sum(1)) - logits[np.arange(len(labels)), labels]


@pytest.mark.slow
def test_translations_are_compared_with_the_class_of_their_source(initial):
    objective = tiny.Training(config()).objective
    drawn = objective.sample(*initial, jax.random.key(0))
    keep = np.array([0, 1, 3, 4, 6, 7])
    expected = {
        "b": cross_entropy(objective, initial, "b", drawn["b"], initial[2]["a_digit"])[keep].mean(),
        "a": cross_entropy(objective, initial, "a", drawn["a"], initial[2]["b_digit"]).mean(),
    }
    total, terms = loss(initial, "generator", semantic=3.0)
    np.testing.assert_allclose([terms["semantic_a"], terms["semantic_b"]], [expected["a"], expected["b"]], rtol=1e-5)
    without, others = loss(initial, "generator", semantic=0.0)
    np.testing.assert_allclose(total - without, 3 * sum(expected.values()), rtol=1e-4)
    assert {name.partition("_")[0] for name in others} == {"adversarial", "cycle", "semantic"}


@pytest.mark.slow
def test_classifiers_learn_from_real_pictures_alone(initial):
    objective = tiny.Training(config()).objective
    batch, keep = initial[2], np.array([0, 1, 3, 4, 6, 7])
    total, terms = loss(initial, "classifier")
    a = cross_entropy(objective, initial, "a", batch["a"], batch["a_digit"])[keep].mean()
    b = cross_entropy(objective, initial, "b", batch["b"], batch["b_digit"]).mean()
    np.testing.assert_allclose([terms["cross_entropy_a"], terms["cross_entropy_b"], total], [a, b, a + b], rtol=1e-5)


def test_a_shift_larger_than_the_pictures_is_refused():
    with pytest.raises(InputError, match="at most 8, got 9"):
        _ = tiny.Training(config(objective={"shift": 9})).system


@pytest.mark.slow
def test_generators_are_judged_by_shifted_and_noisy_translations(initial):
    _, terms = loss(initial, "generator")
    for fields in ({"shift": 2}, {"noise": 0.5}):
        _, disturbed = loss(initial, "generator", **fields)
        changed = {name for name in terms if disturbed[name] != terms[name]}
        assert changed == {"semantic_a", "semantic_b"}, fields


@pytest.mark.slow
def test_classifiers_learn_first():
    steps = 60
    start = {"lr": 1e-3, "start_step": steps}
    optimizers = {"classifier": {"lr": 3e-3, "stop_step": steps}, "discriminator": start, "generator": start}
    changes = {"optimizers": optimizers, "train": {"steps": steps + 1, "batch_size": 32}}
    _, metrics = tiny.Training(config(**changes)).run(steps)
    assert metrics["classifier/accuracy_a"][-1] > 0.7 and metrics["classifier/accuracy_b"][-1] > 0.7
    changes["optimizers"] = optimizers | {"generator": {"lr": 1e-3, "start_step": 5}}
    system = tiny.Training(config(**changes)).system
    with pytest.raises(ConfigError, match="classifier"):
        check_stages(system.optimizers, system.objective.stages, steps + 1)


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "num_devices"), [("jit", 4), ("pmap", 4)])
def test_every_layout_trains_the_same(mode, num_devices):
    disturbed = {"shift": 1, "noise": 0.2}
    _, metrics = tiny.Training(config(objective=disturbed)).run(2)
    _, others = tiny.Training(config(mode, num_devices, disturbed)).run(2)
    assert set(metrics) == set(others)
    for name, values in metrics.items():
        np.testing.assert_allclose(others[name], values, rtol=2e-3, atol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"a": "a_digit"}, r"objective.labels: expected the label of each target \(a, b\), got {'a': 'a_digit'}"),
        ({"a": "a_digit", "b": "b"}, r"objective.labels: expected labels of the data \(a_digit, b_digit\), got 'b'"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, expected):
    with pytest.raises(ConfigError, match=expected):
        _ = tiny.Training(config(objective={"labels": labels})).system
