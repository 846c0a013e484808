"""The evaluator `style`: the style itself falls by 1 and the photo by 0, and other pictures lie between."""

import jax
import numpy as np
import pytest

from mmgen_jax.evaluators import style
from mmgen_jax.evaluators.judges import classifier, image
from mmgen_jax.modalities.modality import Modality


def pictures(seed, num=6):
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(-1, 1, (num, 4, 4, 3)) * rng.uniform(0.2, 1, (num, 1, 1, 3))
    return np.repeat(np.repeat(coarse, 4, 1), 4, 2).astype(np.float32)


@pytest.fixture(scope="module")
def judge():
    network = image.Network(3)
    variables = network.init(jax.random.key(0), pictures(0))
    assert set(variables) == {"params", "batch_stats"}  # what the judge sows is no part of its weights
    modality = Modality("image", (16, 16, 3))
    return classifier.Classifier(modality, network, ("a", "b", "c"), variables, accuracy=0.5, num_test=6)


def measured(judge, monkeypatch, draw, num=6):
    monkeypatch.setattr(classifier, "load", lambda *args: judge)
    batch = {"photo": pictures(1, num), "style": pictures(2, num)}
    evaluator = style.Evaluator(data={}, target="image", num_examples=num)
    assert evaluator.names == ("photo", "style")
    return evaluator(lambda batch: {"image": draw(batch)}, [batch])


def test_features_are_those_of_every_grid(judge):
    grids = style.features(judge, pictures(0))
    assert [grid.shape for grid in grids] == [(6, 8, 8, 48)]
    logits, _ = judge.predict(pictures(0))
    assert logits.shape == (6, 3)


def test_the_style_itself_and_the_photo_itself(judge, monkeypatch):
    photo, wanted = (measured(judge, monkeypatch, lambda b, n=name: b[n]) for name in ("photo", "style"))
    assert photo["gram_fall"]["value"] == pytest.approx(0, abs=1e-5)
    assert photo["content_cosine"]["value"] == pytest.approx(1, abs=1e-5)
    assert wanted["gram_fall"]["value"] == pytest.approx(1, abs=1e-5)
    assert wanted["gram_fall"]["share_80"] == 1
    assert wanted["content_cosine"]["value"] == pytest.approx(
        wanted["content_cosine"]["baselines"]["style_itself"]["value"]
    )
    assert wanted["content_cosine"]["value"] < 0.99


def test_the_baseline_is_a_transfer_of_colours(judge, monkeypatch):
    entries = measured(judge, monkeypatch, lambda batch: style.recoloured(batch["photo"], batch["style"]))
    for entry in entries.values():
        assert entry["value"] == pytest.approx(entry["baselines"]["recoloured"]["value"], abs=1e-5)
        assert entry["n"] == 6 and entry["judge"] == judge.hash and entry["judge_accuracy"] == 0.5
        assert entry["interval"][0] < entry["value"] < entry["interval"][1]
    assert 0 < entries["gram_fall"]["value"] < 1
    moved = style.recoloured(pictures(1) / 2, pictures(2) / 2)
    np.testing.assert_allclose(moved.mean((1, 2)), pictures(2).mean((1, 2)) / 2, atol=0.05)


def test_more_pictures_than_a_batch(judge, monkeypatch):
    few = measured(judge, monkeypatch, lambda batch: batch["photo"][:, ::-1], num=60)
    assert few["gram_fall"]["n"] == 60 and np.isfinite(few["gram_fall"]["value"])
