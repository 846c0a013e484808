"""Pictures drawn from clips: what needs no model, and whether class and place are right."""

import json
import types

import numpy as np
import pytest
from tiny import ROOT

from mmgen_jax import evaluate, lookup
from mmgen_jax.baselines import base
from mmgen_jax.config import loading, override
from mmgen_jax.config.system import build_system, open_source
from mmgen_jax.data.transforms import at_place
from mmgen_jax.data.transforms.downsample import bicubic
from mmgen_jax.errors import ConfigError
from mmgen_jax.evaluators import class_and_place
from mmgen_jax.evaluators.judges import classifier
from mmgen_jax.evaluators.measures import fidelity
from mmgen_jax.modalities.modality import Modality

RNG = np.random.default_rng(0)
REAL = RNG.uniform(-1, 1, (6, 12, 16, 3)).astype(np.float32)
CLIPS = RNG.uniform(-1, 1, (6, 5, 12, 16, 3)).astype(np.float32)
ABOUT = {"target": Modality("image", (12, 16, 3)), "clip": Modality("video", (5, 12, 16, 3))}


def measured(clips, drawn=REAL):
    evaluator = lookup.build("evaluators", {"name": "picture_from_clip"}, target="target")
    evaluator.check({"target": REAL}, ("clip",))
    entries = evaluator(lambda batch: {"target": drawn}, [{"target": REAL, "clip": clips}])
    json.dumps(entries, allow_nan=False)
    return entries


def test_what_needs_no_model_is_its_definition():
    entries = measured(CLIPS)
    pictures = {"first": CLIPS[:, 0], "middle": CLIPS[:, 2], "last": CLIPS[:, 4], "mean": CLIPS.mean(1)}
    pictures["median"] = np.sort(CLIPS, axis=1)[:, 2]
    assert set(entries["psnr"]["baselines"]) == set(pictures)
    for name, picture in pictures.items():
        for metric, values in fidelity.measure(picture, REAL).items():
            np.testing.assert_allclose(entries[metric]["baselines"][name]["value"], values.mean(), rtol=1e-5)
    assert entries["mse"]["value"] == 0 and entries["psnr"]["value"] == 100
    assert entries["psnr"]["num_frames"] == 5 and entries["psnr"]["n"] == 6
    low, high = entries["mse"]["baselines"]["last"]["difference"]
    assert low < high < 0


def test_a_smaller_grey_clip_is_enlarged():
    flat = np.full((6, 5, 6, 8, 1), 0.5, np.float32)
    expected = fidelity.measure(np.full_like(REAL, 0.5), REAL)["mse"].mean()
    assert measured(flat)["mse"]["baselines"]["mean"]["value"] == pytest.approx(expected, rel=1e-5)


def test_a_clip_with_other_channels_is_refused():
    evaluator = lookup.build("evaluators", {"name": "picture_from_clip"}, target="target")
    about = {"target": Modality("image", (12, 16, 1)), "clip": ABOUT["clip"]}
    with pytest.raises(ConfigError, match="clip: expected 1 channel or 1, as the target, got 3"):
        evaluator.suits(about, ("clip",))
    with pytest.raises(
        ConfigError, match=r"clip: expected a clip, got 'target' .image.; set clip to such a one .clip."
    ):
        lookup.build("evaluators", {"name": "picture_from_clip", "clip": "target"}, target="target").suits(
            about, ("x",)
        )


def still(**changes):
    """`video_to_image` on scenes."""
    scenes = {"data.name": "scenes", "data.num_train": 8, "data.num_test": 4, "data.num_frames": 8}
    return override.override(loading.load(f"{ROOT}/configs/video_to_image.py:digits"), scenes | changes)


def test_the_baseline_copies_the_last_frame_of_the_models_clip():
    config = still()
    batch = open_source(config, "test").read(np.arange(4), np.zeros(4, int))
    drawn = base.create("last_frame", config, "still")(batch)["still"]
    np.testing.assert_array_equal(drawn[0], bicubic(batch["clip"][0, -1], batch["still"].shape[1:3]))
    with pytest.raises(ConfigError, match=r"last_frame: expected a picture as target .* got target video"):
        base.create("last_frame", config, "video")


DATA = {"name": "unpaired", "sets": {"video": {"name": "digits", "of": "video", "video_size": 32}}}


def blob(row, column, size=32):
    picture = np.full((size, size, 1), -1, np.float32)
    picture[row : row + 4, column : column + 4] = 1
    return picture


def test_class_and_place_are_counted_apart_and_together(monkeypatch):
    """A judge that calls a picture by the brightness of its brightest pixel."""
    real = np.stack([blob(2 * i, 3 * i) for i in range(10)])
    classes = np.arange(10) % 2
    real[classes == 1] = np.where(real[classes == 1] > 0, np.float32(0.5), real[classes == 1])
    judge = types.SimpleNamespace(
        classify=lambda clips: (clips.reshape(len(clips), -1).max(1) < 0.75).astype(int), identity={"judge": "j"}
    )
    monkeypatch.setattr(classifier, "load", lambda *_: judge)
    drawn = real.copy()
    drawn[:3] = np.roll(real[:3], 3, axis=1)  # 3 px lower
    drawn[5:7] = np.where(real[5:7] > 0, np.float32(1), real[5:7])  # the class of all bright pictures
    evaluator = lookup.build("evaluators", {"name": "class_and_place"}, target="drawn", data=DATA)
    entries = evaluator(lambda batch: {"drawn": drawn}, [{"drawn": real, "reference_digit": classes}])
    wrong = int((classes[5:7] == 1).sum())
    found = {name: entry["value"] for name, entry in entries.items()}
    assert found == {"class": 1 - wrong / 10, "place": 0.7, "both": pytest.approx(0.7 - wrong / 10)}
    assert all(entry["reference"] == 1 and entry["n"] == 10 for entry in entries.values())
    assert entries["class"]["chance"] == 0 and entries["place"]["chance"] == 0  # neighbours differ in both
    json.dumps(entries, allow_nan=False)


def test_a_set_that_is_not_there_is_refused():
    evaluator = class_and_place.Evaluator(DATA, "drawn", clips="walk", classes="digit")
    about = {"drawn": ABOUT["target"], "digit": Modality("label", classes=("a",))}
    with pytest.raises(ConfigError, match=r"clips: no set 'walk' in config.data"):
        evaluator.suits(about, ("clip",))


def test_the_target_of_vgan_needs_both_inputs(mmgen_data, monkeypatch):
    """It is the reference, where the clip's digit will be; in the test split, too, the two have unrelated classes."""
    monkeypatch.chdir(ROOT)
    config = loading.load("configs/vgan.py:digits")
    source = open_source(config, "test", names=("reference_digit", "video_digit"))
    batch = source.read(np.arange(200), np.zeros(200, int))
    assert 0.03 < np.mean(batch["reference_digit"] == batch["video_digit"]) < 0.2
    np.testing.assert_array_equal(batch["clip"], batch["video"][:, :7])
    built = {one.name: one for one in evaluate.build(config, build_system(config, source.modalities))}
    assert built["coherence"].shares_training_items  # the judge has seen the clips that the model learns from
    for i in range(20):
        where, later = at_place.centre(batch["drawn"][i]), at_place.centre(batch["later"][i])
        np.testing.assert_allclose(where, later, atol=4.8)  # the nearest of places 8 px apart
        small = at_place.reduced(batch["reference"][i], 16)
        np.testing.assert_allclose((batch["drawn"][i] + 1).sum(), (small + 1).sum(), rtol=0.02)
