import gzip
import io
import re
import tarfile
import wave

import numpy as np
import pytest
from PIL import Image

from mmgen_jax.data import prepare
from mmgen_jax.data.cache import arrays
from mmgen_jax.errors import PrepareError, Unusable


def test_a_text_set_is_prepared_once_from_the_data_folder(mmgen_data, cache, capsys, monkeypatch):
    pytest.importorskip("tensorflow")
    splits = prepare.splits("tiny_shakespeare")
    assert f"preparing it once from {mmgen_data}" in capsys.readouterr().out
    assert list(splits) == ["train", "validation", "test"]
    text = "".join(split.text("text")[0] for split in splits.values())
    assert text == (mmgen_data / "tfds" / "tiny_shakespeare" / "input.txt").read_text()

    written = {path: path.stat().st_mtime_ns for path in (cache / "prepared").rglob("*.npy")}
    monkeypatch.setattr(prepare.importlib.util, "find_spec", lambda name: None)  # neither TensorFlow nor TFDS again
    folders = prepare.prepare("tiny_shakespeare")
    assert folders == [split.directory for split in splits.values()]
    assert "train, 1 examples, in" in capsys.readouterr().out
    assert written == {path: path.stat().st_mtime_ns for path in (cache / "prepared").rglob("*.npy")}

    (folders[1] / "meta.json").unlink()  # a set that is half there is not there
    with pytest.raises(PrepareError, match=r'pip install "mmgen_jax\[tfds\]"'):
        prepare.prepare("tiny_shakespeare")


@pytest.mark.slow
def test_an_audio_set_has_the_samples_and_labels_of_its_files(mmgen_data, cache):
    pytest.importorskip("tensorflow")
    prepare.prepare("spoken_digit", str(mmgen_data / "tfds"))
    split = arrays.read(cache / "prepared" / "spoken_digit" / "train")
    rows = {name: i for i, name in enumerate(split.text("audio/filename"))}
    audio, label = split.ragged("audio"), split["label"]
    assert len(rows) == len(split) == 2500
    archive = next((mmgen_data / "tfds" / "spoken_digit").glob("*.tar.gz"))
    checked = 0
    with tarfile.open(archive) as files:
        for member in files:
            if (name := member.name.split("/")[-1]) in rows and "/recordings/" in member.name:
                with wave.open(io.BytesIO(files.extractfile(member).read())) as recording:
                    assert (recording.getframerate(), recording.getnchannels(), recording.getsampwidth()) == (
                        8000,
                        1,
                        2,
                    )
                    samples = np.frombuffer(recording.readframes(recording.getnframes()), np.int16)
                np.testing.assert_array_equal(audio[rows[name]], samples)
                assert label[rows[name]] == int(name[0])
                checked += 1
    assert checked == 2500
    assert split.attributes["features"]["audio"]["sample_rate"] == 8000


def _idx(path):
    raw = gzip.decompress(path.read_bytes())
    axes = raw[3]
    shape = np.frombuffer(raw, ">i4", axes, 4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * axes).reshape(shape)


def _sorted_pairs(images, labels):
    pairs = np.concatenate([np.asarray(images).reshape(len(labels), -1), labels[:, None].astype(np.uint8)], axis=1)
    return sorted(pair.tobytes() for pair in pairs)


@pytest.mark.parametrize("split, files", [("train", "train"), ("test", "t10k")])
def test_mnist_has_the_images_and_labels_of_its_files(mmgen_data, split, files):
    """In the user's own cache: TFDS takes half a minute to prepare it."""
    exported = prepare.splits("mnist")[split]
    folder = mmgen_data / "tfds" / "mnist"
    images, labels = (_idx(folder / f"{files}-{part}-ubyte.gz") for part in ("images-idx3", "labels-idx1"))
    expected, got = _sorted_pairs(images, labels), _sorted_pairs(exported["image"], exported["label"])
    assert len(got) == len(labels) and expected == got


def _made_builder(folder):
    tfds = pytest.importorskip("tensorflow_datasets")
    pytest.importorskip("tensorflow")
    features = tfds.features

    class Made(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self,
                features=features.FeaturesDict(
                    {
                        "fixed": features.Image(shape=(4, 6, 3)),
                        "nested": {"varying": features.Image(shape=(None, None, 3), encoding_format="png")},
                        "depth": features.Image(shape=(4, 4, 1), dtype=np.float32),
                        "label": features.ClassLabel(names=["cat", "dog"]),
                        "text": features.Text(),
                        "stereo": features.Audio(shape=(None, 2), sample_rate=16000),
                        "float": features.Audio(dtype=np.float32, sample_rate=8000),
                        "video": features.Video(shape=(None, 4, 4, 3)),
                        "number": features.Scalar(np.float32),
                        "string": features.Scalar(np.str_),
                        "box": features.BBoxFeature(),
                        "list": features.Sequence(np.int64),
                    }
                ),
            )

        def _split_generators(self, manager):
            return {"train": self._generate_examples(0), "test": self._generate_examples(1)}

        def _generate_examples(self, part):
            for i in range(5):
                rng = np.random.default_rng(10 * part + i)
                yield (
                    i,
                    {
                        "fixed": rng.integers(0, 256, (4, 6, 3), np.uint8),
                        "nested": {"varying": rng.integers(0, 256, (2 + i, 3, 3), np.uint8)},
                        "depth": np.zeros((4, 4, 1), np.float32),
                        "label": -1 if i == 4 else i % 2,
                        "text": f"größe {i}",
                        "stereo": rng.integers(-32768, 32768, (10 + i, 2)),
                        "float": rng.uniform(-1, 1, 7 + i).astype(np.float32),
                        "video": rng.integers(0, 256, (1 + i, 4, 4, 3), np.uint8),
                        "number": float(i),
                        "string": f"s{i}",
                        "box": features.BBox(0.0, 0.25, 0.5, 1.0),
                        "list": [1] * i,
                    },
                )

    return Made


@pytest.mark.parametrize("file_format", ["tfrecord", "array_record"])
def test_every_kind_of_feature_is_exported(tmp_path, capsys, file_format):
    builder = _made_builder(tmp_path)(data_dir=str(tmp_path / "tfds"), file_format=file_format)
    builder.download_and_prepare()
    prepare.export(builder, "train", tmp_path / "train")
    out = capsys.readouterr().out
    assert re.findall(r"left out field '(\w+)'", out) == ["depth", "list"]
    read = arrays.read(tmp_path / "train")
    kinds = {field: description["kind"] for field, description in read.attributes["features"].items()}
    assert kinds == {
        "fixed": "image",
        "nested/varying": "image",
        "label": "label",
        "text": "text",
        "stereo": "audio",
        "float": "audio",
        "video": "video",
        "number": "tensor",
        "string": "text",
        "box": "tensor",
    }
    assert read.attributes["features"]["label"]["classes"] == ["cat", "dog"]
    assert len(read) == 5
    for row in range(5):
        i = int(read["number"][row])
        rng = np.random.default_rng(i)
        np.testing.assert_array_equal(read["fixed"][row], rng.integers(0, 256, (4, 6, 3), np.uint8))
        png = Image.open(io.BytesIO(read.ragged("nested/varying")[row].tobytes()))
        np.testing.assert_array_equal(np.asarray(png), rng.integers(0, 256, (2 + i, 3, 3), np.uint8))
        np.testing.assert_array_equal(read.ragged("stereo")[row], rng.integers(-32768, 32768, (10 + i, 2)))
        assert read.ragged("stereo")[row].dtype == np.int16
        np.testing.assert_array_equal(read.ragged("float")[row], rng.uniform(-1, 1, 7 + i).astype(np.float32))
        np.testing.assert_array_equal(read.ragged("video")[row], rng.integers(0, 256, (1 + i, 4, 4, 3), np.uint8))
        assert read["label"][row] == (-1 if i == 4 else i % 2)
        assert read.text("text")[row] == f"größe {i}" and read.text("string")[row] == f"s{i}"
        np.testing.assert_array_equal(read["box"][row], [0, 0.25, 0.5, 1])


def test_what_is_not_prepared_names_the_command(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("MMGEN_DATA", str(tmp_path))
    with pytest.raises(Unusable, match=r"cifar10: not prepared in .*: mmgen prepare-data --dataset=cifar10 "):
        prepare.splits("cifar10")
    with pytest.raises(Unusable, match="mmgen prepare-data --dataset=digits"):
        prepare.splits("mnist", dataset="digits")


def test_an_export_of_another_version_is_made_again(cache, monkeypatch):
    monkeypatch.delenv("MMGEN_DATA", raising=False)
    with arrays.write(cache / "prepared" / "made" / "train", {"export": prepare.EXPORT, "splits": ["train"]}) as writer:
        writer.extend({"text": ["a"]})
    assert list(prepare.splits("made")) == ["train"]
    monkeypatch.setattr(prepare, "EXPORT", prepare.EXPORT + 1)
    with pytest.raises(Unusable, match="not prepared"):
        prepare.splits("made")


def test_errors_are_one_line(cache, tmp_path, monkeypatch):
    with pytest.raises(PrepareError, match=r"--manual-dir=/absent: expected a folder with the files of mnist"):
        prepare.prepare("mnist", "/absent")
    (tmp_path / "mnist").mkdir()
    with pytest.raises(PrepareError, match=r"expected a folder .* spoken_digit"):
        prepare._manual_dir("digits", "spoken_digit", str(tmp_path / "mnist"))
    assert prepare._manual_dir("digits", "mnist", str(tmp_path)) == tmp_path / "mnist"
    assert prepare._manual_dir("digits", "mnist", str(tmp_path / "mnist")) == tmp_path / "mnist"
    assert prepare._manual_dir("glue/cola", "glue/cola", str(tmp_path)) == tmp_path
    pytest.importorskip("tensorflow")
    with pytest.raises(PrepareError, match="no_such_set: tensorflow-datasets could not prepare it") as error:
        prepare.prepare("no_such_set", str(tmp_path))
    assert "\n" not in str(error.value)
    monkeypatch.setattr(prepare.importlib.util, "find_spec", lambda name: None if name == "tensorflow" else object())
    with pytest.raises(PrepareError, match=r'needs tensorflow: pip install "mmgen_jax\[tfds\]"'):
        prepare.prepare("mnist", str(tmp_path))
