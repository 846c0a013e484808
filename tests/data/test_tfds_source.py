import io
import pickle
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from mmgen_jax.data import prepare, tfds_source
from mmgen_jax.data.cache import arrays
from mmgen_jax.errors import Unusable
from mmgen_jax.modalities.modality import check_batch

FEATURES = {
    "photo": {"kind": "image", "shape": [6, 4, 3], "encoded": False},
    "meta/picture": {"kind": "image", "shape": [None, None, 1], "encoded": True},
    "sound": {"kind": "audio", "shape": [None], "sample_rate": 8000},
    "stereo": {"kind": "audio", "shape": [None, 2], "sample_rate": 0},
    "clip": {"kind": "video", "shape": [None, 4, 4, 3]},
    "caption": {"kind": "text"},
    "class": {"kind": "label", "classes": ["cat", "dog"]},
    "box": {"kind": "tensor", "shape": [4]},
    "path": {"kind": "tensor", "shape": [3, 2]},
    "age": {"kind": "tensor", "shape": []},
}


def _png(array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return np.frombuffer(file.getvalue(), np.uint8)


def _examples(count, seed):
    rng = np.random.default_rng(seed)
    return {
        "photo": rng.integers(0, 256, (count, 6, 4, 3), np.uint8),
        "meta/picture": [_png(np.full((8, 8 + 4 * (i % 2)), i, np.uint8)) for i in range(count)],
        "sound": [rng.integers(-9999, 9999, 20 + i).astype(np.int16) for i in range(count)],
        "stereo": [rng.uniform(-1, 1, (10, 2)).astype(np.float32) for _ in range(count)],
        "clip": [
            np.arange(1 + i, dtype=np.uint8)[:, None, None, None] + np.zeros((4, 4, 3), np.uint8) for i in range(count)
        ],
        "caption": [f"Photo {i} of a {('cat', 'dog')[i % 2]}" for i in range(count)],
        "class": np.arange(count, dtype=np.int32) % 2,
        "box": rng.normal(0, 9, (count, 4)),
        "path": rng.integers(-99, 99, (count, 3, 2)),
        "age": np.arange(count),
    }


def _write(cache, examples, name="made", features=FEATURES):
    for split, fields in examples.items():
        provenance = {"export": prepare.EXPORT, "splits": list(examples), "split": split, "tfds": f"{name}/1.0.0"}
        with arrays.write(cache / "prepared" / name / split, provenance) as writer:
            writer.attributes["features"] = features
            writer.extend(fields)


@pytest.fixture
def made(cache, monkeypatch):
    monkeypatch.delenv("MMGEN_DATA", raising=False)
    examples = {"train": _examples(40, 0), "test": _examples(6, 1)}
    examples["test"]["class"][3] = -1
    _write(cache, examples)
    return examples


def _read(source, indices=None):
    indices = np.arange(len(source)) if indices is None else np.asarray(indices)
    return source.read(indices, np.zeros(len(indices), int))


def test_every_kind_reads_as_its_modality(made):
    fields = {"a": "photo", "b": "meta/picture", "c": "sound", "d": "clip", "e": "caption", "f": "class"}
    source = tfds_source.Source("made", fields, split="test", image_size=4, audio_seconds=0.005, num_frames=3)
    batch = _read(source)
    check_batch(batch, source.modalities)
    shapes = {name: modality.shape for name, modality in source.modalities.items()}
    assert shapes == {"a": (4, 4, 3), "b": (4, 4, 1), "c": (40,), "d": (3, 4, 4, 3), "e": (32,), "f": ()}
    assert source.modalities["f"].classes == ("cat", "dog")


def test_values_of_one_size_are_the_stored_ones(made):
    source = tfds_source.Source("made", {"x": "photo"}, split="test")
    np.testing.assert_allclose((_read(source)["x"] + 1) * 127.5, made["test"]["photo"], atol=1e-4)
    assert not list((source._prepared["test"].directory.parents[2]).glob("tfds_source"))  # nothing to keep twice


def test_images_keep_their_middle(cache):
    photo = np.zeros((1, 8, 4, 3), np.uint8)
    photo[:, 2:6] = 200
    _write(
        cache, {"train": {"photo": photo}}, features={"photo": {"kind": "image", "shape": [8, 4, 3], "encoded": False}}
    )
    column = tfds_source.Source("made", {"x": "photo"}, image_size=4)._column("x", "train")
    np.testing.assert_array_equal(column, np.full((1, 4, 4, 3), 200))


def test_encoded_images_of_differing_sizes(made):
    source = tfds_source.Source("made", {"x": "meta/picture"}, split="test", image_size=5)
    image = _read(source)["x"]
    for i in range(6):
        np.testing.assert_allclose((image[i] + 1) * 127.5, i, atol=1e-4)
    with pytest.raises(ValueError, match=r"'x': its images differ in size; set image_size"):
        _ = tfds_source.Source("made", {"x": "meta/picture"}).modalities


def test_waveforms_are_padded_cut_mixed_and_resampled(made):
    audio = _read(tfds_source.Source("made", {"x": "sound"}, split="test", audio_seconds=22 / 8000))["x"]
    for row, value in zip(audio, made["test"]["sound"]):
        np.testing.assert_allclose(row[: len(value)], value[:22] / 32768, atol=1e-6)
        assert (row[len(value) :] == 0).all()
    stereo = tfds_source.Source("made", {"x": "stereo"}, split="test", audio_seconds=0.01, sample_rate=1000)
    np.testing.assert_allclose(_read(stereo)["x"], np.mean(made["test"]["stereo"], axis=2), atol=1e-6)
    with pytest.raises(ValueError, match="TFDS does not state its rate; set sample_rate"):
        _ = tfds_source.Source("made", {"x": "stereo"}).modalities


def test_resampling_keeps_a_tone(cache):
    tone = (20000 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)).astype(np.int16)
    features = {"sound": {"kind": "audio", "shape": [None], "sample_rate": 8000}}
    _write(cache, {"train": {"sound": [tone]}}, features=features)
    source = tfds_source.Source("made", {"x": "sound"}, sample_rate=12000)
    assert source.modalities["x"].shape == (12000,) and source.modalities["x"].sample_rate == 12000
    expected = 20000 * np.sin(2 * np.pi * 440 * np.arange(12000) / 12000)
    np.testing.assert_allclose(source._column("x", "train")[0, 200:-200], expected[200:-200], atol=100)


def test_video_frames_are_evenly_spaced(made):
    source = tfds_source.Source("made", {"x": "clip"}, split="test", num_frames=3)
    frames = np.rint((_read(source)["x"][:, :, 0, 0, 0] + 1) * 127.5).astype(int)
    np.testing.assert_array_equal(frames, [[0, 0, 0], [0, 0, 1], [0, 1, 2], [0, 2, 3], [0, 2, 4], [0, 2, 5]])


def test_text_has_the_vocabulary_of_train_and_loses_its_end(made):
    source = tfds_source.Source("made", {"x": "caption"}, split="test", text_length=4)
    tokenizer = source.modalities["x"].tokenizer
    train = tfds_source.Source("made", {"x": "caption"})
    numbers = {word for word in tokenizer.vocabulary if word.isdigit()}
    assert numbers == {str(i) for i in train._examples[1]} and len(numbers) == 36
    assert tokenizer == train.modalities["x"].tokenizer
    for i, ids in enumerate(_read(source)["x"]):
        assert tokenizer.decode(ids) == f"photo {i if str(i) in numbers else '?'} of"
    for unit in ("byte", "character"):
        whole = tfds_source.Source("made", {"x": "caption"}, split="test", text_unit=unit)
        assert whole.modalities["x"].tokenizer.decode(_read(whole)["x"][0]) == "Photo 0 of a cat"


def test_one_long_text_is_cut_into_pieces(cache):
    text = "the quick brown fox jumps over the lazy dog"
    _write(cache, {s: {"text": [text]} for s in ("train", "validation", "test")}, features={"text": {"kind": "text"}})
    for unit, join in (("character", ""), ("byte", ""), ("word", " ")):
        source = tfds_source.Source("made", {"x": "text"}, text_length=5, text_unit=unit, text_pieces=True)
        tokenizer = source.modalities["x"].tokenizer
        assert join.join(tokenizer.decode(ids) for ids in _read(source)["x"]) == text
    assert len(tfds_source.Source("made", {"x": "text"})) == 1


def test_unknown_labels_are_masked(made):
    batch = _read(tfds_source.Source("made", {"x": "class"}, split="test"))
    np.testing.assert_array_equal(batch["x/mask"], [True, True, True, False, True, True])
    np.testing.assert_array_equal(batch["x"], [0, 1, 0, 0, 0, 1])
    assert "x/mask" not in _read(tfds_source.Source("made", {"x": "class"}))


def test_missing_splits_are_fixed_tenths_of_train(made, cache):
    def rows(name, split):
        return tfds_source.Source(name, {"x": "photo"}, split=split)._examples

    assert rows("made", "test")[0] == "test" and len(rows("made", "test")[1]) == 6
    (of_train, train), (of_validation, validation) = rows("made", "train"), rows("made", "validation")
    assert of_train == of_validation == "train" and len(validation) == 4
    assert sorted([*train, *validation]) == list(range(40))
    np.testing.assert_array_equal(validation, np.sort(np.random.RandomState(0).permutation(40)[:4]))

    _write(cache, {"train": made["train"]}, name="alone")
    parts = [rows("alone", split)[1] for split in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [32, 4, 4]
    assert sorted(np.concatenate(parts)) == list(range(40))

    _write(cache, {"train": made["train"], "dev": made["test"]}, name="other")
    assert rows("other", "dev")[0] == "dev" and len(rows("other", "dev")[1]) == 6
    with pytest.raises(ValueError, match="split 'eval' does not exist; there are train, dev"):
        rows("other", "eval")


def test_worker_processes_read_the_same(made):
    source = tfds_source.Source("made", {"x": "sound", "y": "caption"}, audio_seconds=0.005)
    first = _read(source, [3, 1])
    copied = pickle.dumps(source)
    assert len(copied) < 500
    second = _read(pickle.loads(copied), [3, 1])
    for name in ("x", "y"):
        np.testing.assert_array_equal(first[name], second[name])


def test_tensors_are_vectors_on_request_and_not_scaled(made):
    source = tfds_source.Source("made", {"x": "box", "y": "path"}, split="test")
    batch = _read(source)
    check_batch(batch, source.modalities)
    assert {name: (m.kind, m.shape) for name, m in source.modalities.items()} == {
        "x": ("vector", (4,)),
        "y": ("vector", (3, 2)),
    }
    np.testing.assert_array_equal(batch["x"], made["test"]["box"].astype(np.float32))
    np.testing.assert_array_equal(batch["y"], made["test"]["path"])


def test_errors_name_the_field_and_what_there_is(made):
    with pytest.raises(ValueError, match=r"'x': feature 'boxes' does not exist; there are photo \(image\), meta/"):
        _ = tfds_source.Source("made", {"x": "boxes"}).modalities
    with pytest.raises(ValueError, match=r"'x': expected numbers \[D\] or \[T, D\], got shape \[\]; choose another"):
        _ = tfds_source.Source("made", {"x": "age"}).modalities
    with pytest.raises(ValueError, match=r"no modality 'y' in `fields`; there are x"):
        tfds_source.Source("made", {"x": "photo"}, names=("y",))
    with pytest.raises(ValueError, match="text_pieces needs one text"):
        _ = tfds_source.Source("made", {"x": "photo"}, text_pieces=True).modalities
    with pytest.raises(Unusable, match="mmgen prepare-data --dataset=glue/cola"):
        len(tfds_source.Source("glue/cola", {"x": "sentence"}))


def test_reads_without_tensorflow(made):
    code = (
        "import sys, numpy as np; from mmgen_jax.data import tfds_source; s = tfds_source.Source('made',"
        "{'a': 'photo', 'b': 'caption'}, image_size=4); s.read(np.arange(4), np.zeros(4, int));"
        "print({m.split('.')[0] for m in sys.modules})"
    )
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "'numpy'" in modules and "'tensorflow" not in modules


def test_real_mnist(mmgen_data):
    source = tfds_source.Source("mnist", {"photo": "image", "digit": "label"}, split="test", image_size=32)
    assert len(source) == 10000
    batch = _read(source, range(0, 10000, 10))
    check_batch(batch, source.modalities)
    train = tfds_source.Source("mnist", {"photo": "image", "digit": "label"}, image_size=32)
    assert len(train) == 54000
    seen = _read(train, range(2000))
    means = np.stack([seen["photo"][seen["digit"] == d].mean(0).ravel() for d in range(10)])
    guess = np.square(batch["photo"].reshape(1000, 1, -1) - means).sum(-1).argmin(1)
    assert (guess == batch["digit"]).mean() > 0.75
