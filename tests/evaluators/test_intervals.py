"""Intervals of metrics that are no mean over examples: against redrawn data, and in the entries of such metrics."""

import types

import numpy as np
import pytest

from mmgen_jax import lookup
from mmgen_jax.evaluators import feature_controls
from mmgen_jax.evaluators.judges import classifier
from mmgen_jax.evaluators.measures import captions, distances, intervals

RNG = np.random.default_rng(0)
WORDS = np.array([f"w{i}" for i in range(40)])


def width(found):
    return found["interval"][1] - found["interval"][0]


@pytest.mark.parametrize("size", [0, 60, 250])
def test_of_a_mean_it_is_the_interval_of_a_mean(size):
    values = RNG.normal(3, 2, 500)
    found = intervals.of_corpus(
        lambda i: {"mean": values[i].mean()}, {"mean": values.mean()}, 500, resamples=300, size=size
    )["mean"]
    low, high = intervals.of_mean(values)
    assert np.mean(found["interval"]) == pytest.approx(values.mean())
    assert width(found) == pytest.approx(high - low, rel=0.15)
    assert (found["resamples"], found["resample_size"]) == (300, size or 400)


def test_a_share_of_dependent_examples_has_the_interval_of_their_groups():
    hits = RNG.random(200) < 0.7
    four = np.repeat(np.arange(200), 4)
    found = intervals.of_share(hits[four], [np.arange(800), four])
    assert found["effective_n"] == pytest.approx(200, rel=0.02)  # four copies of an example are one example
    np.testing.assert_allclose(found["interval"], intervals.wilson(float(hits.sum()), 200), atol=1e-3)
    independent = RNG.random(800) < 0.7  # of groups that have nothing to do with the hits
    assert intervals.of_share(independent, [four]).get("effective_n", 800) > 600
    alone = {"interval": intervals.wilson(int(independent.sum()), 800)}
    assert intervals.of_share(independent) == intervals.of_share(independent, [np.arange(800)]) == alone
    assert intervals.of_share(np.ones(8, bool), [np.arange(8) // 4])["interval"] == intervals.wilson(2, 2)
    assert "effective_n" not in intervals.of_share(np.arange(8) < 4, [np.zeros(8, int)])


def test_the_interval_of_few_groups_holds_the_true_share():
    """Of ten groups whose shares differ: 95 % of the intervals hold the mean over groups."""
    rng, group, held = np.random.default_rng(0), np.repeat(np.arange(10), 100), 0
    for _ in range(400):
        low, high = intervals.of_share(rng.random(1000) < rng.beta(5, 5, 10)[group], [group])["interval"]
        held += low <= 0.5 <= high
    assert 0.91 < held / 400 < 0.99


def gaussians(num):
    return RNG.normal(size=(num, 6)), 1.1 * RNG.normal(size=(num, 6)) + 0.5


def sentences(num):
    return [tuple(WORDS[(len(WORDS) * RNG.random(n) ** 3).astype(int)]) for n in RNG.integers(3, 8, num)]


METRICS = {
    "frechet": (gaussians, lambda drawn, i: distances.frechet_of_subset(*drawn, i)),
    "mmd": (gaussians, lambda drawn, i: distances.squared_mmd(drawn[0][i], drawn[1][i])),
    "distinct_2": (sentences, lambda drawn, i: captions.distinct([drawn[j] for j in i], 2)),
    "self_bleu": (sentences, lambda drawn, i: captions.self_bleu([drawn[j] for j in i]).mean()),
}


@pytest.mark.parametrize("name", METRICS)
def test_its_width_is_the_spread_of_redrawn_examples(name):
    """Where a bootstrap has copies: it would give twice the width of self-BLEU, around another centre."""
    (draw, measure), num = METRICS[name], 60
    values = [measure(draw(num), np.arange(num)) for _ in range(60)]
    drawn = [draw(num) for _ in range(2)]
    widths = [
        width(intervals.of_corpus(lambda i, one=one: {"x": measure(one, i)}, {"x": 0.0}, num, resamples=30)["x"])
        for one in drawn
    ]
    assert 0.6 < np.mean(widths) / (2 * intervals.Z * np.std(values)) < 1.6


def test_it_is_centred_seeded_and_in_the_metrics_range():
    drawn = gaussians(40)
    value = distances.frechet_distance(*drawn)

    def found(seed, within):
        again = lambda i: {"x": distances.frechet_of_subset(*drawn, i)}  # noqa: E731
        return intervals.of_corpus(again, {"x": value}, 40, size=10, within=within, seed=seed)["x"]["interval"]

    unbounded = (-np.inf, np.inf)
    assert np.mean(found(0, unbounded)) == pytest.approx(value)  # whatever the bias of subsets of 10
    assert found(0, unbounded) == found(0, unbounded) != found(1, unbounded)
    low, high = found(0, (value - 0.01, value + 0.01))
    assert (low, high) == (value - 0.01, value + 0.01)


def test_of_three_examples_there_is_none():
    assert intervals.of_corpus(lambda i: {"x": 1.0}, {"x": 1.0}, 3) == {"x": {"interval": None}}


def test_the_distance_of_a_subset_is_the_distance():
    a, b = gaussians(80)
    rows = np.arange(5, 70)
    assert distances.frechet_of_subset(a, b, rows) == pytest.approx(distances.frechet_distance(a[rows], b[rows]))
    few = np.arange(4)  # singular covariances
    exact = distances.frechet_distance(a[few], b[few])
    assert distances.frechet_of_subset(a, b, few) == pytest.approx(exact, abs=1e-4)


def test_distances_of_features_have_intervals(monkeypatch):
    flat = lambda x: x.reshape(len(x), -1)  # noqa: E731
    judge = types.SimpleNamespace(predict=lambda x: (flat(x), flat(x)), identity={})
    monkeypatch.setattr(classifier, "load", lambda *_: judge)
    names = ("frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage")
    monkeypatch.setattr(feature_controls, "measure", lambda *_: {name: {} for name in names})
    evaluator = lookup.build("evaluators", {"name": "classifier_frechet", "data": {}, "target": "image"})
    batch = {"image": RNG.normal(size=(60, 2, 2, 1)).astype(np.float32)}
    entries = evaluator(lambda batch: {"image": batch["image"] + 1}, [batch])
    assert set(entries) == set(names)
    for entry in entries.values():
        low, high = entry["interval"]
        assert low <= entry["value"] <= high and low < high
    assert [entries[name]["resample_size"] for name in names[:2]] == [48, 30]


def test_variety_of_captions_has_intervals():
    data = {"name": "scenes", "names": ("text", "image"), "image_size": 16, "num_train": 64, "num_test": 30}
    evaluator = lookup.build("evaluators", {"name": "captions", "target": "text", "data": data, "num_train": 64})
    source = lookup.build("data", data | {"names": ("text", "image", *evaluator.names)}, split="test")
    entries = evaluator(lambda batch: batch, [source.read(np.arange(30), np.zeros(30, int))])
    for name in ("distinct_1", "distinct_2", "self_bleu"):
        low, high = entries[name]["interval"]
        assert 0 <= low < entries[name]["value"] < high <= (100 if name == "self_bleu" else 1)
        assert (entries[name]["resamples"], entries[name]["resample_size"]) == (50, 24)
