"""The nearest condition in place of a translation."""

import dataclasses

import numpy as np
import pytest

from mmgen_jax import evaluate
from mmgen_jax.baselines import base, nearest_condition
from mmgen_jax.config import override, schema
from mmgen_jax.config.system import build_system, open_source
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.results.cells import Cell

RNG = np.random.default_rng(0)


def translation(names=("image",), **fields):
    """A config of rendered scenes: from grey to colour."""
    config = schema.base()
    data = {"name": "scenes", "image_size": 16, "num_train": 40, "num_test": 6}
    config.data = data | {"names": names}
    config.derived = {"grey": {"name": "grey", "of": "image"}}
    config.aligned = ("grey",)
    config.objective = {"name": "regression", "target": "image"}
    config.generator = {"name": "translation", "width": 4, "max_width": 8}
    config.optimizers = {"generator": {"lr": 1e-3}}
    config.evaluators = {"error": {"name": "reconstruction"}}
    return override.override(config.lock(), fields)


@dataclasses.dataclass
class Examples:
    """A source with given rows, of two pictures that are read and one that is drawn."""

    rows: dict[str, np.ndarray]

    def __post_init__(self):
        self.modalities = {name: Modality("image", (2, 2, 1)) for name in ("grey", "edges", "image")}

    def __len__(self):
        return len(self.rows["image"])

    def read(self, indices, epochs):
        return {name: rows[indices] for name, rows in self.rows.items()}


@pytest.fixture
def given(monkeypatch):
    """`given(conditions, **masks)`: a baseline of five training examples; the n-th target is all n / 10."""

    def make(conditions=("grey", "edges"), **masks):
        rows = {name: RNG.uniform(-1, 1, (5, 2, 2, 1)).astype(np.float32) for name in ("grey", "edges")}
        rows["image"] = np.broadcast_to(np.arange(5, dtype=np.float32)[:, None, None, None] / 10, (5, 2, 2, 1))
        source = Examples(rows | {f"{name}/mask": np.array(mask) for name, mask in masks.items()})
        monkeypatch.setattr(nearest_condition, "open_source", lambda *_, **__: source)
        config = translation(derived="none", aligned=conditions)
        return rows, base.create("nearest_condition", config, "image")

    return make


def numbers(drawn):
    return np.round(10 * drawn["image"][:, 0, 0, 0]).astype(int).tolist()


def test_the_nearest_is_that_of_the_sum_over_conditions(given):
    rows, draw = given()
    asked = {name: RNG.uniform(-1, 1, (30, 2, 2, 1)).astype(np.float32) for name in ("grey", "edges")}
    distances = {n: ((asked[n][:, None] - rows[n][None]) ** 2).sum((2, 3, 4)) for n in asked}
    both = (distances["grey"] + distances["edges"]).argmin(1)
    assert numbers(draw(asked)) == both.tolist() and len(set(both.tolist())) > 2
    assert (both != distances["grey"].argmin(1)).any()
    masked = asked | {"edges/mask": np.zeros(30, bool)}
    assert numbers(draw(masked)) == distances["grey"].argmin(1).tolist() == numbers(draw({"grey": asked["grey"]}))


def test_examples_without_a_condition_or_the_target_are_not_drawn(given):
    rows, draw = given(edges=[True, False, True, True, True], image=[True, True, False, True, True])
    drawn = numbers(draw({name: rows[name] for name in ("grey", "edges")}))
    assert [drawn[i] for i in (0, 3, 4)] == [0, 3, 4] and not {1, 2} & set(drawn)
    with pytest.raises(ConfigError, match="expected training examples with grey, edges, image, got 0"):
        given(edges=[False] * 5)[1](rows)


def test_it_is_measured_as_a_model_is_beside_the_mean():
    config = translation()
    train, test = (open_source(config, split) for split in ("train", "test"))
    system = build_system(config, train.modalities)
    grey, known = (s.read(np.arange(len(s)), np.zeros(len(s), int)) for s in (test, train))
    nearest = ((grey["grey"][:, None] - known["grey"][None]) ** 2).sum((2, 3, 4)).argmin(1)
    l1 = np.abs(known["image"][nearest] - grey["image"]).mean() / 2
    entries = {
        name: evaluate.run(config, system, base.create(name, config, "image"))["test/error/l1"]
        for name in ("nearest_condition", "mean_example")
    }
    assert entries["nearest_condition"]["value"] == pytest.approx(l1, rel=1e-5)
    constant = np.abs(known["image"].mean(0) - grey["image"]).mean() / 2
    assert entries["mean_example"]["value"] == pytest.approx(constant, rel=1e-4)


def test_a_text_is_refused():
    fields = {"aligned": "none", "encoders.text.name": "text.embedding", "fusion.name": "concat"}
    config = translation(("text", "image"), **fields)
    with pytest.raises(ConfigError, match=r"conditions of continuous values .*, got text \(text\)"):
        base.create("nearest_condition", config, "image")


def test_another_condition_is_another_line_of_the_results():
    def digest(baseline, **fields):
        return Cell("", "", {}, 0, baseline, translation(**fields)).config_hash

    edges = {"derived.grey.name": "edges"}
    assert digest("nearest_condition") != digest("nearest_condition", **edges)
    assert digest("nearest_condition") == digest("nearest_condition", **{"generator.width": 8})
