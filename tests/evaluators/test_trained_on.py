"""What a judge was trained on, and whether the measured model was trained on examples of it."""

import types

import numpy as np
import pytest
import tiny

from mmgen_jax import evaluate, lookup
from mmgen_jax.config.system import open_source
from mmgen_jax.data.subset import Subset
from mmgen_jax.evaluators.judges import classifier, files, retriever

DECLARED = {"source": "scenes", "split": "train", "examples": 64}


def config(**data):
    small = tiny.config("gan")
    with small.unlocked():
        small.data.update(data)
        small.seed = 3
    return small


class Judged:
    """An evaluator with a judge that was trained on `data`."""

    target = "image"

    def __init__(self, data, declared=DECLARED):
        self.data, self.declared = data, declared

    def __call__(self, sampler, batches):
        return {"accuracy": {"value": 1.0, "judge_trained_on": self.declared}, "other": {"value": 0.0}}


def measured(small, evaluator):
    sampler = types.SimpleNamespace(batch_size=8, rewind=lambda: None)
    source = open_source(small, "test")
    return evaluate.run(small, None, sampler, built=[evaluate.Built("judged", evaluator, "test", source, small)])


def test_a_judge_has_the_splits_of_the_run_in_sources_of_sources_too():
    small = tiny.config("gan")
    with small.unlocked(), small.ignore_type():
        small.seed = 3
        pets, paintings = ({"name": "folder", "directory": name} for name in ("pets", "paintings"))
        for of, found in (
            (pets, lambda data: [data]),
            ({"name": "incomplete", "of": pets, "targets": ("image",)}, lambda data: [data["of"]]),
            (
                {"name": "unpaired", "sets": {"a": pets | {"of": "image"}, "b": paintings | {"of": "image"}}},
                lambda data: [data["sets"]["a"], data["sets"]["b"]],
            ),
        ):
            small.data = of
            assert [fields["seed"] for fields in found(evaluate.judged_data(small))] == [3] * len(found(of))


@pytest.mark.parametrize(
    ("own", "judges", "shared"),
    [
        ({"seed": 0}, {"seed": 0}, True),
        ({"seed": 0, "fraction": 0.1}, {"seed": 0}, True),
        ({}, {"seed": 0}, False),
        ({"seed": 0, "part": "first"}, {"seed": 0, "part": "first"}, False),
        ({"seed": 0, "part": "first"}, {"seed": 0}, True),
    ],
)
def test_a_model_that_was_trained_on_the_judges_examples_says_so(own, judges, shared):
    """The third model's examples are rendered from its own seed, 3; the fourth model's judge has the other part."""
    small = config(**own)
    data = {key: value for key, value in config().data.items()} | judges
    entries = measured(small, Judged(data))
    assert [entry["shares_training_items"] for entry in entries.values()] == [shared, shared]


def test_a_judge_that_is_no_network_shares_nothing():
    entries = measured(config(), Judged(None, declared=None))
    assert entries["test/judged/accuracy"]["shares_training_items"] is False


def test_sources_share_where_one_example_is_the_same():
    class Source:
        def __init__(self, values):
            self.values = np.float32(values)

        def __len__(self):
            return len(self.values)

        def read(self, indices, epochs):
            return {"image": self.values[indices][:, None]}

    assert files.shared(Source(range(50)), Source(range(49, 90)), "image")
    assert files.shared(Source(range(50)), Source(range(50, 90)), "image") is False
    many = Source(range(1000, 1000 + files.COMPARED + 1))
    assert files.shared(Source(range(50)), many, "image") is None  # one of those not compared may be shared
    assert files.shared(Source(range(50)), Subset(Source(range(50)), 0.1, 0), "image")


def test_trained_judges_declare_their_training(tmp_path, monkeypatch):
    monkeypatch.setenv("MMGEN_CACHE", str(tmp_path))
    data = {key: value for key, value in config().data.items() if key != "names"}
    trained = types.SimpleNamespace(classes=("a",), accuracy=0.5, num_test=16)
    trained.variables = trained.params = {"encoder": {"kernel": np.zeros(2)}}
    for module in (classifier, retriever):
        monkeypatch.setattr(module, "train", lambda *_: trained)
    judges = classifier.load(data, "image", "color"), retriever.load(data, "image", "text")
    assert [judge.identity["judge_trained_on"] for judge in judges] == [DECLARED] * 2


def test_a_judge_of_a_part_is_trained_on_the_other_part():
    data = {key: value for key, value in config(seed=0, part="first").data.items() if key != "names"}
    own = open_source(config(seed=0, part="first"), names=("image",))
    judged = files.sources(data, ("image",))[0]
    assert files.shared(own, judged, "image") is False and len(own) + len(judged) == len(own.whole)
    assert files.trained_on(data, judged) == {**DECLARED, "part": "second", "examples": len(judged)}


@pytest.mark.parametrize("name", ["scenes_coherence", "scenes_captions"])
def test_analytic_judges_declare_that_they_were_trained_on_nothing(name):
    target = "image" if name == "scenes_coherence" else "text"
    data = {key: value for key, value in config().data.items() if key != "names"}
    fields = {"name": name, "target": target, "num_examples": 8}
    evaluator = lookup.build("evaluators", fields, data=data)
    batch = lookup.build("data", data, split="test").read(np.arange(8), np.zeros(8, int))
    entries = evaluator(lambda batch: {target: batch[target]}, [batch])
    assert entries and all(entry["judge_trained_on"] is None for entry in entries.values())
