"""Every evaluator on one example and on a few: refused, or without an interval; never a spread of 0."""

import types

import numpy as np
import pytest

from mmgen_jax import evaluate, lookup
from mmgen_jax.errors import InputError
from mmgen_jax.evaluators import classifier_frechet
from mmgen_jax.evaluators.judges import classifier
from mmgen_jax.evaluators.measures import distances

RNG = np.random.default_rng(0)


class Sampler:
    """A model that adds noise to the true picture."""

    system = types.SimpleNamespace(conditions=("digit",))

    def __call__(self, batch):
        return {"image": np.clip(batch["image"] + RNG.normal(0, 0.1, batch["image"].shape), -1, 1)}

    def elbo(self, batch):
        return batch["image"].mean((1, 2, 3))

    def embed(self, batch):
        return batch["image"][:, 0, :, 0]

    def embed_pair(self, batch):
        return batch["image"][:, 0, :, 0], batch["image"][:, 1, :, 0]


def measured(name, num, **fields):
    batch = {"image": RNG.uniform(-1, 1, (num, 16, 16, 1)).astype(np.float32), "digit": np.arange(num) % 10}
    evaluator = lookup.build("evaluators", {"name": name, **fields}, target="image")
    return evaluator(Sampler(), [batch])


@pytest.mark.parametrize(
    ("name", "num", "got"),
    [("ms_ssim", 1, 1), ("sliced_wasserstein", 1, 1), ("variety", 1, 1), ("retrieval_recall", 9, 9)],
)
def test_too_few_examples_are_refused_with_their_number(name, num, got):
    with pytest.raises(InputError, match=rf"expected at least .* examples.*got {got}"):
        measured(name, num)


def test_neighbours_of_one_class_need_more_examples_than_ranks():
    with pytest.raises(InputError, match=r"class_retrieval: expected more examples than the largest rank 10, got 10"):
        measured("class_retrieval", 10, label="digit")


@pytest.mark.parametrize(
    ("name", "num", "fields"),
    [("reconstruction", 1, {}), ("likelihood", 1, {}), ("ms_ssim", 3, {}), ("variety", 2, {"num_conditions": 1})],
)
def test_a_single_value_has_no_interval(name, num, fields):
    entries = measured(name, num, **fields)
    for entry in entries.values():
        assert entry["n"] == 1 and entry["interval"] is None and np.isfinite(entry["value"])
        assert entry.get("standard_error") is None
    assert "[" not in evaluate.table(entries)
    for entry in measured(name, 8, **({"num_conditions": 4} if fields else {})).values():
        assert entry["interval"] is not None and entry["interval"][0] <= entry["value"] <= entry["interval"][1]


@pytest.mark.parametrize("num", [1, 2, 11])
def test_distances_of_features_refuse_few_examples(monkeypatch, num):
    judge = types.SimpleNamespace(predict=lambda x: (x[:, 0, :10, 0], x[:, 0, :, 0]), identity={})
    monkeypatch.setattr(classifier, "load", lambda *_: judge)
    with pytest.raises(InputError, match=rf"classifier_frechet: expected .* examples, got {num}; raise num_examples"):
        measured("classifier_frechet", num, data={"name": "digits"})
    assert num < classifier_frechet.FEWEST


@pytest.mark.parametrize("num", [1, 2, 3])
def test_the_kernel_distance_refuses_sets_without_subsets(num):
    with pytest.raises(InputError, match=rf"kernel_distance: expected at least 4 examples in each set, got {num}"):
        distances.kernel_distance(RNG.normal(size=(num, 5)), RNG.normal(size=(50, 5)))


@pytest.mark.parametrize("num", [4, 30, 1000])
def test_the_deviation_of_the_kernel_distance_is_of_different_subsets(num):
    values = distances.kernel_distance(*RNG.normal(size=(2, num, 5)), num_subsets=8)
    assert np.isfinite(values).all() and values.std() > 1e-5
