"""The distance of clips in features that see the order of frames: the judge, the controls, what it is refused for."""

import json

import numpy as np
import pytest
from test_evaluators import batches

from mmgen_jax import lookup
from mmgen_jax.errors import ConfigError, InputError
from mmgen_jax.evaluators import video_frechet
from mmgen_jax.evaluators.judges import classifier, motion
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.results import tables

DATA = {"name": "scenes", "num_train": 600, "num_test": 96, "image_size": 16, "num_frames": 6}
TRAINING = motion.Training(steps=120, batch_size=48)
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The judge, the evaluator and the test clips."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMGEN_CACHE", str(tmp_path_factory.mktemp("cache")))
        judge = motion.load(DATA, "video", "", TRAINING)
        source = lookup.build("data", DATA | {"split": "test", "names": ("video",)})
        fields = {"name": "video_frechet", "data": DATA, "target": "video", "training": TRAINING}
        yield judge, lookup.build("evaluators", fields), source.read(np.arange(96), np.zeros(96, int))


@pytest.mark.slow
def test_the_judge_sees_the_order_and_is_cached(measured, monkeypatch):
    judge, _, test = measured
    assert judge.classes == motion.ORDERS and judge.accuracy > 0.75
    for name, clips in video_frechet.out_of_order(test["video"], RNG).items():
        assert (judge.classify(clips) == motion.ORDERS.index(name)).mean() > 0.7, name
    logits, features = judge.predict(test["video"][:, :4], batch_size=40)  # clips of another length
    assert logits.shape == (96, 3) and features.shape == (96, 128) and features.min() == 0
    monkeypatch.setattr(classifier, "train", None)  # the second load must not train
    assert motion.load(DATA, "video", "", TRAINING).hash == judge.hash


@pytest.mark.slow
def test_real_clips_are_nearer_than_every_control(measured):
    _, evaluator, test = measured
    entries = evaluator(lambda batch: {"video": np.roll(batch["video"], 1, axis=0)}, batches(test))
    frozen = evaluator(lambda batch: {"video": np.repeat(batch["video"][:, :1], 6, axis=1)}, batches(test))
    distance, worse = entries["frechet_distance"], frozen["frechet_distance"]
    assert distance["value"] < 1e-6 < distance["reference"]
    assert (distance["n"], distance["num_frames"], distance["reference_n"]) == (96, 6, 48)
    controls = distance["controls"]
    assert set(controls) == {"real", "blur", "noise", "mean", "repeated", "frozen", "shuffled"}
    assert all(controls["real"] < controls[name] for name in ("frozen", "shuffled", "noise"))
    assert worse["value"] > max(1.5 * controls["real"], distance["reference"])
    assert worse["interval"][0] <= worse["value"] <= worse["interval"][1]
    assert entries["kernel_distance"]["value"] < frozen["kernel_distance"]["value"]
    json.dumps(entries, allow_nan=False)
    notes = tables.markdown(
        {"frozen": ["a"], "longer": ["b"]},
        [
            {"config_hash": key, "seed": 0, "commit": "c", "hardware": "h", "metrics": {"t/frechet_distance": entry}}
            for key, entry in (("a", worse), ("b", worse | {"num_frames": 8}))
        ],
        {"Fréchet ↓": "t/frechet_distance"},
    )
    assert "`num_frames` differs: 6, 8" in notes


def test_few_clips_are_refused(measured):
    _, evaluator, test = measured
    with pytest.raises(InputError, match="expected at least 16 clips, got 3"):
        evaluator(lambda batch: {"video": batch["video"]}, batches({"video": test["video"][:3]}))


def test_an_order_is_of_the_clip_and_the_epoch_and_names_the_class():
    source = lookup.build("data", DATA | {"split": "test", "names": ("video", "motion")})
    ordered = motion.Ordered(source, "video", "motion")
    indices, epochs = np.arange(40), np.zeros(40, int)
    batch, plain = ordered.read(indices, epochs), source.read(indices, epochs)
    np.testing.assert_array_equal(batch["order"] // 3, plain["motion"])
    orders = batch["order"] % 3
    assert set(orders) == {0, 1, 2}
    same = np.array([np.array_equal(a, b) for a, b in zip(batch["video"], plain["video"])])
    still = np.array([not np.ptp(clip, axis=0).any() for clip in batch["video"]])
    assert same[orders == 0].all() and still[orders == 2].all() and not same[orders == 1].all()
    frames = lambda clips: np.sort(clips.reshape(len(clips), 6, -1).sum(-1), axis=1)  # noqa: E731
    np.testing.assert_allclose(frames(batch["video"][orders == 1]), frames(plain["video"][orders == 1]), rtol=1e-5)
    again = ordered.read(indices[::-1], epochs)
    np.testing.assert_array_equal(again["video"][::-1], batch["video"])
    assert np.any(ordered.read(indices, epochs + 1)["order"] != batch["order"])
    names = ordered.modalities["order"].classes
    assert names[:3] == tuple(f"{source.modalities['motion'].classes[0]} {order}" for order in motion.ORDERS)


def test_training_clips_are_successive_frames():
    clips = np.arange(10, dtype=np.float32).reshape(1, 10, 1, 1, 1) * np.ones((30, 1, 1, 1, 1), np.float32)
    with pytest.raises(ConfigError, match="num_frames: expected at least 3, got 2"):
        motion.Training(num_frames=2)
    given = motion.augment(clips, motion.Training(num_frames=4), RNG)[..., 0, 0, 0]
    assert (np.diff(given, axis=1) == 1).all() and set(given[:, 0]) == set(range(7))


def test_too_short_clips_are_refused():
    with pytest.raises(ValueError, match="expected clips of at least 3 frames, got 2"):
        motion.check(DATA, "video", "", {"video": Modality("video", (2, 8, 8, 1))})
    with pytest.raises(ValueError, match="target: expected a clip, got 'x', which the data lacks"):
        motion.check(DATA, "x", "", {})
