import multiprocessing
import os
import pickle

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from mmgen_jax.data.cache import arrays, disk
from mmgen_jax.errors import Unusable


def _write(directory, provenance=None, **fields):
    with arrays.write(directory, provenance or {}) as writer:
        writer.extend(fields)
    return arrays.read(directory)


def test_every_kind_of_field_reads_back_whatever_the_chunks(tmp_path):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (7, 3, 2, 1)).astype(np.uint8)
    audio = [rng.integers(-9, 9, n).astype(np.int16) for n in (4, 0, 1, 5, 2, 0, 3)]
    text = ["seven", "", "größer", "ß", "a b", "日本", "x"]
    with arrays.write(tmp_path / "set", {"version": 1}) as writer:
        writer.attributes["rate"] = 8000
        for chunk in (slice(0, 1), slice(1, 6), slice(6, 7)):
            writer.extend({"audio/left": audio[chunk], "image": image[chunk], "text": text[chunk]})
    read = arrays.read(tmp_path / "set")
    assert len(read) == 7 and read.attributes == {"rate": 8000}
    assert read.fields == {"audio/left": "ragged", "image": "array", "text": "text"}
    np.testing.assert_array_equal(read["image"], image)
    assert read["image"].dtype == np.uint8
    assert list(read.text("text")) == text
    assert read.ragged("audio/left")[0].dtype == np.int16
    for got, expected in zip(read.ragged("audio/left"), audio, strict=True):
        np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(read.ragged("audio/left").lengths, [4, 0, 1, 5, 2, 0, 3])


def test_files_are_npy_files(tmp_path):
    _write(tmp_path / "set", image=np.arange(12.0).reshape(3, 4))
    np.testing.assert_array_equal(np.load(tmp_path / "set" / "image.npy"), np.arange(12.0).reshape(3, 4))


@hypothesis.settings(deadline=None, max_examples=50)
@hypothesis.given(
    st.lists(st.integers(0, 6), min_size=1, max_size=5),
    st.integers(1, 8),
    st.integers(-7, 7),
    st.integers(0, 2**32 - 1),
)
def test_window_pads_with_zeros(lengths, length, start, seed):
    rng = np.random.default_rng(seed)
    examples = [rng.integers(1, 100, n) for n in lengths]
    ragged = arrays.Ragged(np.concatenate(examples), np.cumsum([0, *lengths]))
    indices = rng.integers(0, len(lengths), 4)
    starts = np.array([start, 0, start, 1])
    expected = np.zeros((4, length), int)
    for row, (index, first) in enumerate(zip(indices, starts)):
        for column in range(length):
            if 0 <= first + column < lengths[index]:
                expected[row, column] = examples[index][first + column]
    np.testing.assert_array_equal(ragged.window(indices, length, starts), expected)


def test_failed_writer_leaves_nothing_and_keeps_what_was_there(tmp_path):
    _write(tmp_path / "set", image=np.zeros((2, 3)))
    with pytest.raises(RuntimeError, match="stop"), arrays.write(tmp_path / "set", {}) as writer:
        writer.extend({"image": np.ones((5, 3))})
        raise RuntimeError("stop")
    assert os.listdir(tmp_path) == ["set"]
    np.testing.assert_array_equal(arrays.read(tmp_path / "set")["image"], np.zeros((2, 3)))


def test_replaces_what_was_there(tmp_path):
    old = _write(tmp_path / "set", {"version": 1}, image=np.zeros((2, 3)))["image"]
    _write(tmp_path / "set", {"version": 2}, image=np.ones((5, 3)))
    assert os.listdir(tmp_path) == ["set"]
    assert len(arrays.read(tmp_path / "set")) == 5
    np.testing.assert_array_equal(old, np.zeros((2, 3)))  # a reader keeps what it had mapped


def test_refuses_stale_absent_and_damaged(tmp_path):
    _write(tmp_path / "set", {"version": 1}, image=np.zeros((2, 3)), text=["a", "b"])
    arrays.read(tmp_path / "set", arrays.fingerprint({"version": 1}))
    with pytest.raises(Unusable, match="stale"):
        arrays.read(tmp_path / "set", arrays.fingerprint({"version": 2}))
    with pytest.raises(Unusable, match=r"no meta\.json"):
        arrays.read(tmp_path / "other")
    with open(tmp_path / "set" / "image.npy", "r+b") as file:
        file.truncate(140)
    with pytest.raises(Unusable, match="damaged"):
        arrays.read(tmp_path / "set")["image"]
    (tmp_path / "set" / "text.offsets.npy").unlink()
    with pytest.raises(Unusable, match=r"text.offsets.npy is missing"):
        arrays.read(tmp_path / "set")


def test_a_directory_that_is_moved_while_it_is_read_is_unusable(tmp_path, monkeypatch):
    with arrays.write(tmp_path / "set", {}) as writer:
        writer.extend({"image": np.zeros((2, 3))})
    sha256 = disk.sha256

    def moved(file):
        (tmp_path / "set").rename(tmp_path / "aside")
        return sha256(file)

    monkeypatch.setattr(disk, "sha256", moved)
    with pytest.raises(Unusable, match="replaced by another process while it was read"):
        arrays.read(tmp_path / "set")


def test_fields_keep_their_kind_dtype_shape_and_count(tmp_path):
    with pytest.raises(ValueError, match=r"image.npy: expected float64 of shape \['n', 3\].*float32 \[2, 3\]"):  # noqa: SIM117
        with arrays.write(tmp_path / "set", {}) as writer:
            writer.extend({"image": np.zeros((2, 3))})
            writer.extend({"image": np.zeros((2, 3), np.float32)})
    with pytest.raises(ValueError, match=r"one count.*'image': 2, 'text': 1"):
        _write(tmp_path / "set", image=np.zeros((2, 3)), text=["a"])
    with pytest.raises(ValueError, match="dtype object"):
        _write(tmp_path / "set", image=np.array([None, 1]))
    read = _write(tmp_path / "set", image=np.zeros((2, 3)), text=["a", "b"])
    with pytest.raises(KeyError, match="no field 'audio'; it has image, text"):
        read["audio"]
    with pytest.raises(TypeError, match=r"read it by arrays\.text\(name\)"):
        read["text"]


def test_a_field_of_empty_examples_reads_back(tmp_path):
    read = _write(tmp_path / "set", text=["", ""], audio=[np.zeros(0, np.int16)] * 2)
    assert list(read.text("text")) == ["", ""]
    assert read.ragged("audio")[1].shape == (0,)
    np.testing.assert_array_equal(read.ragged("audio").window(np.array([0]), 3), [[0, 0, 0]])


def test_pickles_as_its_directory(tmp_path):
    read = _write(tmp_path / "set", image=np.zeros((100_000,)))
    read["image"]
    pickled = pickle.dumps(read)
    assert len(pickled) < 1000
    np.testing.assert_array_equal(pickle.loads(pickled)["image"], read["image"])


def test_cache_is_built_once_and_again_when_an_input_or_parameter_changes(tmp_path, cache):
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.txt").write_text("one")
    calls = []

    def build(writer):
        calls.append((source / "a.txt").read_text())
        writer.extend({"text": [calls[-1]]})

    def text(**parameters):
        return arrays.cached("made/texts", [source], parameters, build).text("text")[0]

    assert text(size=1) == "one" and text(size=1) == "one" and calls == ["one"]
    assert text(size=2) == "one" and len(calls) == 2
    (source / "a.txt").write_text("two!")
    assert text(size=1) == "two!" and len(calls) == 3
    (source / "b.txt").write_text("new file")
    assert text(size=1) == "two!" and len(calls) == 4
    assert len(list((cache / "made" / "texts").iterdir())) == 4
    for folder in (cache / "made" / "texts").iterdir():
        (folder / "text.npy").unlink()
    assert text(size=1) == "two!" and len(calls) == 5
    with pytest.raises(FileNotFoundError, match="absent"):
        arrays.cached("made/texts", [tmp_path / "absent"], {}, build)


def _at_once(function, *arguments):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=function, args=given) for given in arguments]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * len(arguments)


def _replace_often(directory, value):
    for _ in range(40):
        with arrays.write(directory, {"value": value}) as writer:
            writer.extend({"values": np.full(1000, value)})


def test_writers_at_once_leave_one_whole_directory(tmp_path):
    _at_once(_replace_often, (tmp_path / "set", 1), (tmp_path / "set", 2))
    assert len(set(arrays.read(tmp_path / "set")["values"])) == 1
    assert os.listdir(tmp_path) == ["set"]


def _read_many_caches(source):
    for version in range(40):
        read = arrays.cached("made", [source], {"version": version}, lambda w: w.extend({"text": ["a", "b"]}))
        assert list(read.text("text")) == ["a", "b"]


def test_builders_at_once_of_one_cache_all_read_it(tmp_path, cache):
    (tmp_path / "source").touch()
    _at_once(_read_many_caches, (tmp_path / "source",), (tmp_path / "source",))
    assert len(list((cache / "made").iterdir())) == 40
