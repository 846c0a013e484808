"""The judges of sounds and clips, what they are worth, and what they share with the judge of pictures."""

from __future__ import annotations

import io
import json
import tarfile
import types

import numpy as np
import pytest
import soundfile
from test_evaluators import Mnist, batches

from mmgen_jax import lookup
from mmgen_jax.data import digits
from mmgen_jax.errors import InputError
from mmgen_jax.evaluators.judges import audio, classifier, files, image, video
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.representations.log_mel import Representation

SCENES = {"name": "scenes", "num_train": 2000, "num_test": 120, "image_size": 16, "num_frames": 4}
SHORT = {"audio": audio.Training(steps=60, batch_size=32), "video": video.Training(steps=60, batch_size=32)}


@pytest.fixture(scope="module", params=["audio", "video"])
def judged(request, tmp_path_factory):
    """A judge of the colour that scenes have or sound: `(target, judge, Evaluator fields, test arrays)`."""
    target = request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMGEN_CACHE", str(tmp_path_factory.mktemp("cache")))
        fields = {"data": SCENES, "target": target, "label": "color", "training": SHORT[target]}
        judge = classifier.load(SCENES, target, "color", SHORT[target])
        source = lookup.build("data", SCENES | {"split": "test", "names": (target, "color")})
        yield target, judge, fields, source.read(np.arange(120))


def test_it_learns_and_is_cached(judged, monkeypatch):
    target, judge, _, test = judged
    logits, features = judge.predict(test[target], batch_size=50)
    assert logits.shape == (120, 6) and features.shape == (120, 128) and features.min() == 0
    assert judge.accuracy == (judge.classify(test[target]) == test["color"]).mean() > 0.6 and judge.num_test == 120
    monkeypatch.setattr(classifier, "train", None)  # the second load must not train
    again = classifier.load(SCENES, target, "color", SHORT[target])
    assert again.hash == judge.hash
    np.testing.assert_array_equal(again.predict(test[target])[0], judge.predict(test[target])[0])


def test_samples_and_reconstructions_are_judged(judged):
    target, judge, fields, test = judged
    rolled = lambda batch: {target: np.roll(batch[target], 1, axis=0)}  # noqa: E731
    model = types.SimpleNamespace(reconstruct=lambda batch: {target: batch[target]})
    drawn = lookup.build("evaluators", {"name": "classifier_accuracy", **fields})(rolled, batches(test))["accuracy"]
    copied = lookup.build("evaluators", {"name": "classifier_accuracy", "from_target": True, **fields})
    copied = copied(model, batches(test))["accuracy"]
    assert copied["value"] == copied["reference"] == drawn["reference"] == judge.accuracy > drawn["value"]
    assert drawn["judge"] == judge.hash and drawn["n"] == 120 and drawn["chance"] == 1 / 6
    entries = lookup.build("evaluators", {"name": "classifier_frechet", **fields})(rolled, batches(test))
    assert entries["precision"]["value"] == 1  # the same examples in another order
    json.dumps(entries | {"accuracy": drawn}, allow_nan=False)
    spoilt = test[target].copy()
    spoilt[:3] = np.nan
    with pytest.raises(InputError, match="expected finite samples, got 3 of 120 that are not"):
        judge.classify(spoilt)


def test_controls_are_measured_beside_the_real_examples(judged):
    target, judge, fields, test = judged
    half = lambda batch: {target: batch[target] / 2}  # noqa: E731
    model = types.SimpleNamespace(supports=lambda method: method == "reconstruct", reconstruct=half)
    evaluator = lookup.build("evaluators", {"name": "judge_controls", **fields})
    entries = evaluator(model, batches(test))
    known = {"audio": ["silence", "noise", "backwards", "spectrum"], "video": ["noise", "frozen", "shuffled"]}
    assert list(entries) == [*known[target], "reconstruction"]
    for entry in entries.values():
        assert entry["n"] == 120 and entry["reference"] == judge.accuracy and entry["judge"] == judge.hash
    assert entries["noise"]["value"] < 0.5 * judge.accuracy
    if target == "video":
        assert entries["shuffled"]["value"] == judge.accuracy  # it does not see the order
    else:
        assert entries["reconstruction"]["value"] == judge.accuracy  # nor the level
    model.supports = lambda method: False
    assert list(evaluator(model, batches(test))) == known[target]


def test_the_file_of_a_picture_judge_is_named_as_ever(tmp_path, monkeypatch):
    """So that judges in a cache stay."""
    seen = []
    monkeypatch.setattr(files, "path", lambda kind, identity: seen.append(identity) or tmp_path / "judge.npz")
    judge = classifier.load(SCENES, "image", "color", image.Training(steps=1, batch_size=8))
    training = {"steps": 1, "batch_size": 8, "lr": 2e-3, "weight_decay": 1e-3, "label_smoothing": 0.05, "shift": 2}
    (identity,) = seen
    data = identity.pop("data")
    assert identity == {"version": 1, "training": training | {"seed": 0}, "image": "image", "label": "color"}
    assert [sorted(part) for part in data] == [["examples", "length", "modalities"]] * 2
    assert "about" in np.load(tmp_path / "judge.npz") and judge.num_test == 120


def test_a_text_has_no_network():
    with pytest.raises(ValueError, match=r"no network judges 'text'.*evaluator captions"):
        classifier.load(SCENES, "text", "color")


def test_examples_that_repeat_count_once():
    class Twice:
        def __len__(self):
            return 6

        def read(self, indices, epochs):
            return {"audio": np.float32(indices // 2)[:, None], "digit": indices // 2}

    arrays, labels = classifier.distinct(Twice(), "audio", "digit")
    np.testing.assert_array_equal(arrays[:, 0], [0, 1, 2])
    np.testing.assert_array_equal(labels, [0, 1, 2])


def test_examples_without_the_class_neither_train_nor_test_the_judge(monkeypatch):
    """An absent class is stored as 0."""

    class Half:
        modalities = {"image": Modality("image", (4, 4, 1)), "digit": Modality("label", (), classes=("a", "b"))}

        def __len__(self):
            return 40

        def read(self, indices, epochs):
            shown = indices % 2 == 0
            label = np.where(shown, 1, 0).astype(np.int32)
            return {"image": np.float32(indices)[:, None, None, None] + np.zeros((1, 4, 4, 1), np.float32) / 40,
                    "digit": label, "digit/mask": shown}  # fmt: skip

    seen = []
    batches = classifier._train_batches
    monkeypatch.setattr(
        classifier, "_train_batches", lambda source, *rest: seen.append(source) or batches(source, *rest)
    )
    judge = classifier.train(Half(), Half(), "image", "digit", image.Training(steps=2, batch_size=4))
    assert judge.num_test == 20 and len(seen[0]) == 20
    np.testing.assert_array_equal(seen[0].read(np.arange(20), np.zeros(20, int))["digit"], 1)


def test_augmented_sounds_are_moved_stretched_and_noisy():
    rng, still = np.random.default_rng(0), {"shift": 0.0, "stretch": 0.0, "noise": 0.0}
    clean = np.sin(np.arange(4000) / 5)[None].repeat(8, 0).astype(np.float32)
    np.testing.assert_allclose(audio.augment(clean, audio.Training(**still), rng)[:, :-1], clean[:, :-1], atol=1e-6)
    for change in ({"shift": 0.1}, {"stretch": 0.1}, {"noise": 0.5}):
        changed = audio.augment(clean, audio.Training(**still | change), rng)
        assert changed.dtype == np.float32 and len(np.unique(changed[:, 2000])) == 8
    moved = audio.augment(clean, audio.Training(**still | {"shift": 0.1}), rng)
    assert (moved[:, 0] == 0).any() and not (moved[:, 500:3500] == 0).all(axis=1).any()


class Spoken:
    """The recordings of the official part, `train` (from 5 on) or `test`, as a source."""

    def __init__(self, folder, part):
        rows = []
        with tarfile.open(folder / "free-spoken-digit-dataset-1.0.9.tar.gz") as archive:
            for member in archive:
                if member.name.endswith(".wav"):
                    digit, _, index = member.name.rsplit("/", 1)[-1][:-4].split("_")
                    if (int(index) >= 5) == (part == "train"):
                        samples, _ = soundfile.read(io.BytesIO(archive.extractfile(member).read()), dtype="float32")
                        rows.append((int(digit), np.pad(samples[:6000], (0, max(0, 6000 - len(samples))))))
        self.labels, self.sounds = np.array([row[0] for row in rows], np.int32), np.array([row[1] for row in rows])
        sound = Modality("audio", (6000,), sample_rate=8000)
        self.modalities = {"audio": sound, "digit": Modality("label", (), classes=tuple("0123456789"))}

    def __len__(self):
        return len(self.labels)

    def read(self, indices, epochs):
        return {"audio": self.sounds[indices], "digit": self.labels[indices]}


@pytest.mark.slow
def test_judge_of_spoken_digits_is_good_and_hears_what_a_log_mel_leaves(mmgen_data):
    sources = [Spoken(mmgen_data / "tfds" / "spoken_digit", part) for part in ("train", "test")]
    judge = classifier.train(*sources, "audio", "digit", audio.Training(steps=120))  # the default's 600: 99 %
    assert judge.accuracy > 0.93 and judge.num_test == 250
    test = sources[1].read(np.arange(0, 250, 3), None)
    representation = Representation(modality=sources[1].modalities["audio"], num_iterations=16)
    copies = np.asarray(representation.decode({}, {}, representation.encode({}, {}, test["audio"])))
    assert (judge.classify(copies) == test["digit"]).mean() > 0.9
    for nothing in (np.zeros_like(copies), np.random.default_rng(0).normal(0, 0.1, copies.shape).astype(np.float32)):
        assert (judge.classify(nothing) == test["digit"]).mean() < 0.25


@pytest.mark.slow
def test_judge_of_moving_digits_is_good(mmgen_data):
    sources = []
    for split, part in (("train", "train"), ("test", "t10k")):
        mnist = Mnist(mmgen_data / "tfds" / "mnist", part)
        source = digits.Source(split=split, names=("video", "digit"), video_size=32)
        count = slice(None if split == "train" else 500)
        source.__dict__.update(_images=mnist.images[count], _labels=mnist.labels[count])  # in place of prepared files
        sources.append(source)
    judge = classifier.train(*sources, "video", "digit", video.Training(steps=120))  # the default's: 99 %
    assert judge.accuracy > 0.8 and judge.num_test == 500
