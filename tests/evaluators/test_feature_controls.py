"""Density and coverage against closed forms, and spoilt real examples beside metrics in a judge's features."""

import types
from math import prod

import numpy as np
import pytest

from mmgen_jax import lookup
from mmgen_jax.evaluators import feature_controls
from mmgen_jax.evaluators.judges import classifier
from mmgen_jax.evaluators.measures import distances, examples

RNG = np.random.default_rng(0)


def test_density_and_coverage_are_their_definition():
    real, fake = RNG.normal(size=(2, 40, 3))
    density, coverage = distances.density_coverage(real, fake[:25], k=2)
    radii = [sorted(np.linalg.norm(real - point, axis=1))[2] for point in real]
    held = np.array([[np.linalg.norm(real[i] - point) < radii[i] for i in range(40)] for point in fake[:25]])
    np.testing.assert_allclose(density, held.sum(1) / 2)
    assert coverage.tolist() == held.any(0).tolist() and density.max() > 1


def test_density_and_coverage_of_points_on_a_line():
    """Of 0, 1, …, 9 with k = 1 each ball reaches 1 to either side, its ends excluded."""
    real = np.arange(10.0)[:, None]
    density, coverage = distances.density_coverage(real, np.array([[3.5], [20.0], [6.0]]), k=1)
    assert density.tolist() == [2, 0, 1] and np.flatnonzero(coverage).tolist() == [3, 4, 6]


@pytest.mark.parametrize(("num_real", "num_fake", "k"), [(20, 30, 5), (40, 15, 3)])
def test_their_expectations_of_one_distribution_are_the_papers(num_real, num_fake, k):
    draws = [
        distances.density_coverage(RNG.normal(size=(num_real, 2)), RNG.normal(size=(num_fake, 2)), k)
        for _ in range(800)
    ]
    density, coverage = (float(np.mean([draw[i].mean() for draw in draws])) for i in (0, 1))
    missed = prod((num_real - i) / (num_fake + num_real - i) for i in range(1, k + 1))
    assert density == pytest.approx(1, abs=0.03) and coverage == pytest.approx(1 - missed, abs=0.01)


def test_an_outlier_raises_recall_and_not_coverage():
    """One far example has a ball that holds every other one: the fault of recall that coverage mends."""
    real = RNG.normal(size=(300, 2))
    fake = np.concatenate([np.full((200, 2), 30.0) + RNG.normal(size=(200, 2)), RNG.normal(size=(3, 2)) * 0.1])
    _, recall = distances.precision_recall(real, np.concatenate([fake[:1], fake[-3:]]), 3)
    _, coverage = distances.density_coverage(real, np.concatenate([fake[:1], fake[-3:]]), 3)
    assert recall.mean() > 0.9 and coverage.mean() < 0.2


def test_spoilt_examples_are_what_they_are_called():
    pictures = RNG.uniform(-1, 1, (6, 12, 10, 3)).astype(np.float32)
    spoilt = feature_controls.spoil(pictures, pictures[::-1], np.random.default_rng(1))
    np.testing.assert_allclose(spoilt["mean"][1], (pictures[1] + pictures[4]) / 2)
    assert 0.1 < (spoilt["noise"] - pictures).std() < 0.2 and np.abs(spoilt["noise"]).max() <= 1
    for shape in ((2, 9), (2, 9, 8, 3), (2, 5, 9, 8, 1)):  # a sound, a picture, a clip
        point = np.zeros(shape, np.float32)
        point[0, ...] = 1
        centre = tuple(size // 2 for size in shape[1:])
        point[(1, *centre)] = 1
        blurred = feature_controls.blur(point)
        axes = max(len(shape) - 2, 1)
        np.testing.assert_allclose(blurred[0], 1, rtol=1e-6)  # a flat one stays
        assert blurred[(1, *centre)] == pytest.approx((6 / 16) ** axes) and blurred[1].sum() == pytest.approx(1)


def test_controls_are_of_training_examples_that_have_the_target():
    class Source:
        def __len__(self):
            return 600

        def read(self, indices, epochs):
            return {"image": np.float32(indices)[:, None], "image/mask": indices % 3 > 0}

    found = feature_controls.training(Source(), "image", 300)[:, 0]
    assert len(set(found)) == 300 and (found % 3 > 0).all()
    assert len(feature_controls.training(Source(), "image", 900)) == 900  # of 400, so some twice


def test_few_examples_of_each_class_are_repeated_in_its_share():
    classes = RNG.integers(0, 3, 200)
    indices = feature_controls.repeated(classes)
    np.testing.assert_array_equal(classes[indices], classes)
    assert len(np.unique(indices)) == 3 * feature_controls.REPEATED


class Source:
    def __len__(self):
        return 50

    def read(self, indices, epochs):
        return {"image": np.random.default_rng(5).uniform(-1, 1, (50, 4, 4, 1)).astype(np.float32)[indices]}


def test_controls_stand_beside_every_metric_and_are_computed_once(tmp_path, monkeypatch):
    monkeypatch.setenv("MMGEN_CACHE", str(tmp_path))
    asked = []

    def predict(x):
        asked.append(len(x))
        flat = x.reshape(len(x), -1)
        return flat[:, :3], flat

    judge = types.SimpleNamespace(predict=predict, identity={"judge": "ab12"}, hash="ab12")
    monkeypatch.setattr(classifier, "load", lambda *_: judge)
    monkeypatch.setattr(examples, "whole", lambda *_: Source())
    evaluator = lookup.build("evaluators", {"name": "classifier_frechet", "data": {}, "target": "image"})
    batch = {"image": RNG.uniform(-1, 1, (60, 4, 4, 1)).astype(np.float32)}
    first = evaluator(lambda batch: {"image": batch["image"] / 2}, [batch])
    assert set(first) == {"frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage"}
    for entry in first.values():
        assert list(entry["controls"]) == ["real", "blur", "noise", "mean", "repeated"]
        assert all(np.isfinite(value) for value in entry["controls"].values())
    assert first["frechet_distance"]["controls"]["blur"] > first["frechet_distance"]["controls"]["real"]
    assert {name: entry["better"] for name, entry in first.items()} == {
        **dict.fromkeys(("frechet_distance", "kernel_distance"), "lower"),
        **dict.fromkeys(("precision", "recall", "density", "coverage"), "higher"),
    }
    asked.clear()
    monkeypatch.setattr(examples, "whole", None)  # another model is measured without them
    second = evaluator(lambda batch: {"image": batch["image"] / 3}, [batch])
    assert asked == [60, 60] and second["recall"]["controls"] == first["recall"]["controls"]
    assert second["frechet_distance"]["value"] != first["frechet_distance"]["value"]
