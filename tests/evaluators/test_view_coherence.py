"""Coherence of views: perfect and independent models, given and joint, and the samplers of latents."""

import dataclasses

import numpy as np
import pytest

from mmgen_jax.errors import ConfigError
from mmgen_jax.evaluators import latent_probe, view_coherence
from mmgen_jax.evaluators.judges import classifier
from mmgen_jax.evaluators.measures import latents

VIEWS, NUM = ("one", "two", "three"), 600
CLASSES = np.random.default_rng(0).integers(0, 10, NUM)


class Judge:
    """Reads the class from the first value of a view, as real judges do from pictures."""

    classes = tuple("0123456789")
    identity = {"judge": "abc", "judge_accuracy": 1.0}

    def classify(self, arrays):
        return np.rint(arrays[:, 0]).astype(int)


class Model:
    """A latent is a class; `coherent` models draw all views from it, others each view from a random class."""

    def __init__(self, coherent):
        self.coherent, self.rng = coherent, np.random.default_rng(1)

    def __call__(self, batch, given=()):
        size = len(batch["digit"])
        drawn = batch[given[0]][:, :1] if self.coherent else self.rng.integers(0, 10, (size, 1))
        return {name: batch[name] if name in given else np.repeat(drawn, 2, axis=1) for name in VIEWS}

    def draw_latent(self, batch):
        return self.rng.integers(0, 10, (len(batch["digit"]), 1)).astype(float)

    def to_latent(self, batch):
        return batch["one"][:, :1]

    def from_latent(self, batch, latent):
        own = {name: latent if self.coherent else self.rng.permutation(latent) for name in VIEWS}
        return {name: np.repeat(np.clip(np.rint(own[name]), 0, 9), 2, axis=1) for name in VIEWS}


class Source:
    def __len__(self):
        return NUM

    def read(self, indices, epochs):
        return {name: np.repeat(CLASSES[indices, None], 2, axis=1).astype(float) for name in VIEWS}


@pytest.fixture
def evaluator(monkeypatch):
    monkeypatch.setattr(classifier, "Classifier", Judge)
    monkeypatch.setattr(classifier, "load", lambda *args: Judge())
    monkeypatch.setattr(view_coherence.files, "training", lambda *args: Source())
    fields = {"data": {"name": "views"}, "target": "one", "views": VIEWS, "num_components": 3}
    return view_coherence.Evaluator(**fields, num_examples=NUM)


def batches():
    batch = Source().read(np.arange(NUM), None) | {"digit": CLASSES}
    return [{name: array[:400] for name, array in batch.items()}, {name: array[400:] for name, array in batch.items()}]


def test_a_perfect_model_and_an_independent_one(evaluator):
    entries = evaluator(Model(coherent=True), batches())
    joint = {f"joint_{name}" for name in ("prior", "gaussian_mixture_3", "aggregate_posterior")}
    assert set(entries) == {"given_1", "given_2"} | joint
    for name, entry in entries.items():
        assert entry["value"] == 1 and entry["n"] == NUM and entry["judge_accuracy"] == 1 and entry["reference"] == 1
        assert (entry.get("sampler") == name.removeprefix("joint_")) == (name in joint)
    assert set(entries["given_1"]["per_view"]) == set(VIEWS)
    independent = evaluator(Model(coherent=False), batches())
    for name, entry in independent.items():
        chance = 0.1 if name not in joint else entry["chance"]
        assert abs(entry["value"] - chance) < 0.06 and entry["interval"][0] <= entry["value"] <= entry["interval"][1]
    assert 0.005 < independent["joint_aggregate_posterior"]["chance"] < 0.03


FIVE = tuple("abcde")


@pytest.mark.parametrize("max_subsets", [0, 5, 7])
def test_every_view_weighs_the_same_whatever_subsets_are_given(evaluator, monkeypatch, max_subsets):
    """A model that draws one of five views right has a fifth."""

    class OneOfFive:
        def __call__(self, batch, given=()):
            right = np.repeat(batch["digit"][:, None], 2, axis=1)
            return {name: right if name == "d" else (right + 1) % 10 for name in FIVE}

    batch = dict.fromkeys(FIVE, np.repeat(CLASSES[:, None], 2, axis=1).astype(float)) | {"digit": CLASSES}
    five = dataclasses.replace(evaluator, views=FIVE, samplers=(), max_subsets=max_subsets)
    for entry in five(OneOfFive(), [batch]).values():
        assert entry["value"] == pytest.approx(0.2) and entry["per_view"]["d"] == 1


def test_a_view_that_is_never_drawn_is_refused(evaluator):
    with pytest.raises(
        ConfigError, match="max_subsets: 1 subsets of 1 views all have 'one', which is then never drawn"
    ):
        dataclasses.replace(evaluator, max_subsets=1)


def test_an_entry_names_every_judge(evaluator, monkeypatch):
    class Other(Judge):
        def __init__(self, data, name, label):
            accuracy = {"one": 0.9, "two": 0.8, "three": 0.9}[name]
            self.identity = {"judge": f"of {name}", "judge_accuracy": accuracy}

    monkeypatch.setattr(classifier, "load", Other)
    entry = evaluator(Model(coherent=True), batches())["given_1"]
    assert entry["judge"] == "of one, of two, of three" and entry["judge_accuracy"] == 0.8


class Encoder:
    """Latents that show the class, or noise."""

    def __init__(self, shows):
        self.shows, self.rng = shows, np.random.default_rng(3)

    def to_latent(self, batch):
        noise = self.rng.normal(size=(len(batch["one"]), 10))
        return noise + 8 * np.eye(10)[batch["one"][:, 0].astype(int)] * self.shows


def test_a_linear_probe_finds_what_latents_show(monkeypatch):
    class Labelled(Source):
        def read(self, indices, epochs):
            return super().read(indices, epochs) | {"digit": CLASSES[indices]}

    monkeypatch.setattr(latent_probe.files, "training", lambda *args: Labelled())
    probe = latent_probe.Evaluator(data={"name": "views"}, target="one", num_train=300)
    entry = probe(Encoder(shows=True), batches())["accuracy"]
    assert entry["value"] > 0.98 and entry["n"] == NUM and entry["num_train"] == 300
    assert entry["shuffled"] < 0.3 and entry["baseline"] < 0.15
    assert probe(Encoder(shows=False), batches())["accuracy"]["value"] < 0.3


def test_samplers_of_latents():
    rng = np.random.default_rng(2)
    kept = np.concatenate([rng.normal(-4, 0.5, (300, 2)), rng.normal(4, 1.0, (700, 2))]).astype(np.float32)
    assert latents.fit("prior", kept).draw is None
    mixture = latents.fit("gaussian_mixture", kept, num_components=2)
    drawn = mixture.draw(4000)
    assert mixture.name == "gaussian_mixture_2" and drawn.shape == (4000, 2)
    assert abs(np.mean(drawn[:, 0] < 0) - 0.3) < 0.04 and np.all(np.abs(np.abs(drawn).mean(axis=0) - 4) < 0.1)
    assert not np.array_equal(drawn, mixture.draw(4000))
    again = latents.fit("aggregate_posterior", kept).draw(50)
    assert all(np.any(np.all(kept == row, axis=1)) for row in again)
    with pytest.raises(ConfigError, match="expected one of prior, gaussian_mixture, aggregate_posterior, got 'flow'"):
        latents.fit("flow", kept)
    with pytest.raises(ConfigError, match="10 components need at least 20 training examples, got 5"):
        latents.fit("gaussian_mixture", kept[:5])
