"""Spoilt real pictures beside metrics of pixels: what they are, and that they are measured once for all models."""

import numpy as np
import pytest

from mmgen_jax import lookup
from mmgen_jax.evaluators import feature_controls, picture_controls
from mmgen_jax.evaluators.measures import examples

RNG = np.random.default_rng(0)
PICTURES = np.clip(RNG.normal(0, 0.3, (60, 1, 1, 1)) + RNG.normal(0, 0.2, (60, 16, 16, 1)), -1, 1).astype(np.float32)


class Source:
    modalities = {}

    def __len__(self):
        return len(PICTURES)

    def read(self, indices, epochs):
        return {"image": PICTURES[indices]}


def test_each_control_is_spoilt_in_its_way(monkeypatch):
    monkeypatch.setattr(feature_controls, "CHUNK", 25)
    monkeypatch.setattr(picture_controls, "FEW", 7)
    made = {name: picture_controls.spoilt(PICTURES, name) for name in picture_controls.NAMES}
    assert all(pictures.shape == PICTURES.shape for pictures in made.values())
    np.testing.assert_array_equal(made["real"], PICTURES)
    np.testing.assert_allclose(made["mean"], (PICTURES + np.roll(PICTURES, 1, axis=0)) / 2, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(made["blur"], feature_controls.blur(PICTURES), rtol=1e-5, atol=1e-6)
    assert 0.1 < (made["noise"] - PICTURES).std() < 0.25
    np.testing.assert_array_equal(made["repeated"][7:14], PICTURES[:7])
    assert len(np.unique(made["repeated"], axis=0)) == 7


@pytest.mark.parametrize("name", ["ms_ssim", "sliced_wasserstein"])
def test_they_stand_beside_the_metric_and_are_computed_once(name, tmp_path, monkeypatch):
    monkeypatch.setenv("MMGEN_CACHE", str(tmp_path))
    monkeypatch.setattr(examples, "whole", lambda *_: Source())
    evaluator = lookup.build("evaluators", {"name": name, "data": {}, "target": "image"})
    batch = {"image": RNG.permutation(PICTURES)[:40]}
    first = evaluator(lambda batch: {"image": batch["image"] / 2}, [batch])
    for entry in first.values():
        assert set(entry["controls"]) == set(picture_controls.NAMES)
        assert entry["controls"]["real"] != entry["controls"]["blur"] != entry["controls"]["noise"]
        assert entry["better"] == ("reference" if name == "ms_ssim" else "lower")
    monkeypatch.setattr(feature_controls, "training", None)  # another model is measured without making them anew
    second = evaluator(lambda batch: {"image": -batch["image"]}, [batch])
    for key, entry in second.items():
        assert entry["controls"] == first[key]["controls"] and entry["value"] != first[key]["value"]


@pytest.mark.parametrize("name", ["ms_ssim", "sliced_wasserstein"])
def test_without_the_data_there_are_none(name):
    evaluator = lookup.build("evaluators", {"name": name, "target": "image"})
    assert all("controls" not in entry for entry in evaluator(lambda x: x, [{"image": PICTURES[:8]}]).values())
