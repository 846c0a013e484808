"""Folders as other tools and people lay them out: each is read as its maker meant it, or warned of."""

import json
import pathlib

import media_files as media
import numpy as np
import pytest
from folder_layouts import (
    ALL_TRAIN,
    LAYOUTS,
    NUM,
    SMALL,
    class_csv,
    class_folders_by_split,
    coco,
    everything,
    metadata_jsonl,
    part,
    pictures,
    said,
    stems,
    table,
    webdataset,
    write,
)
from folder_layouts_more import MORE, WARNED
from hypothesis import given, settings
from hypothesis import strategies as st

from mmgen_jax import check_data
from mmgen_jax.data.files import folder_listing
from mmgen_jax.data.folder import Source
from mmgen_jax.errors import DataError

JSON_KEYS = ("images", "annotations", "file_name", "caption", "id", "image_id", "0.png", "split")
ONE_PIXEL = media.png_bytes(1, 1, 8, 0, b"\0\0")


@pytest.fixture
def files(tmp_path, cache) -> pathlib.Path:
    """An empty folder."""
    (tmp_path / "files").mkdir()
    return tmp_path / "files"


def test_corpus_is_large():
    assert len(LAYOUTS) >= 16 and len({layout.write for layout in LAYOUTS}) == len(LAYOUTS)


@pytest.mark.parametrize("layout", LAYOUTS + MORE, ids=lambda layout: layout.write.__name__)
def test_a_layout_is_read_as_its_maker_meant(layout, files, capsys):
    layout.write(files)
    by_split = {}
    for split in Source.splits:
        # Words of the other splits must be in the vocabulary for the check: bytes know all.
        source = Source(directory=str(files), split=split, text_unit="byte", **SMALL | {"text_length": 64})
        by_split[split] = everything(source)
    examples = [example for found in by_split.values() for example in found]
    assert sorted(example["image"] for example in examples) == list(range(NUM))
    for example in examples:
        number = example["image"]
        assert example.get("texts", []) == [said(number, form) for form in range(layout.forms)]
        assert example.get("label", "") == (layout.labels[number % 3] if layout.labels else "")
    if layout.split:
        own = {"train": "train", "val": "validation", "test": "test"}
        for split, found in by_split.items():
            assert {example["image"] for example in found} == {i for i in range(NUM) if own[part(i)] == split}
    else:
        assert [len(found) for found in by_split.values()] == [10, 1, 1] or layout.write in (coco, class_csv)

    fields = {"directory": str(files), **SMALL}
    assert check_data.check_source(Source, fields) == 0
    out = capsys.readouterr().out
    assert layout.recognised in out and layout.warned in out
    assert ("WARNING" in out) == bool(layout.warned) == ("no problems with the data" not in out), out


def unknown_suffix(d):
    stems(d)
    write(d / "0.heic", "x")


def table_of_others(d):
    stems(d)
    table(d / "points.csv", [["x", "y"], [1, 2]])


def nothing_pairs(d):
    pictures(d, lambda i: f"img_{i}.png")
    for i in range(NUM):
        write(d / f"cap_{i}.txt", said(i))


def lone_text(d):
    stems(d)
    write(d / "classes.txt", "number0\nnumber1\n")


def pictures_without_lines(d):
    pictures(d)
    table(d / "captions.csv", [["filename", "caption"], *([f"{i}.png", said(i)] for i in range(9))])


def outside_manifest(d):
    pictures(d)
    write(d / "manifest.jsonl", "\n".join(json.dumps({"image": f"{i}.png", "text": said(i)}) for i in range(9)))


def unnamed_columns(d):
    pictures(d)
    table(d / "pets.csv", [["filename", "breed", "age"], *([f"{i}.png", "pug", i] for i in range(NUM))])


def views(d):
    for name in ("edges", "photo"):
        pictures(d / name)


def link_to_a_folder(d):
    stems(d)
    (d.parent / "more").mkdir()
    (d / "more").symlink_to(d.parent / "more")


def thai(d):
    pictures(d)
    for i in range(NUM):
        write(d / f"{i}.txt", f"แมวสีแดงกับลูกสุนัข{i}ตัว")


@pytest.mark.parametrize(
    "make, part",
    [
        *WARNED,
        (unknown_suffix, "files that end in .heic are not read: 1 (0.heic); convert them"),
        (table_of_others, "points.csv: not used: it names no file here"),
        (nothing_pairs, "no example has two of image, text"),
        (lone_text, "files whose text belongs to no other file are examples of their own: 1 (classes.txt)"),
        (pictures_without_lines, "3 examples have no text, which captions.csv may lack: 10, 11, 9"),
        (outside_manifest, "files that are not in manifest.jsonl are not used: 3 (10.png, 11.png, 9.png)"),
        (unnamed_columns, "pets.csv: not used: it names files, but has no column text"),
        (link_to_a_folder, "more: a link to a folder is not followed"),
        (views, "the folders edges, photo are read as classes"),
        (thai, "set data.text_unit='character'"),
    ],
)
def test_what_may_not_be_meant_is_warned_of(make, part, files, capsys):
    make(files)
    assert check_data.check_source(Source, {"directory": str(files), **SMALL}) == 0
    out = capsys.readouterr().out
    assert part in next(line for line in out.splitlines() if line.startswith("WARNING"))
    assert out.endswith("nothing stops training; warnings: 1\n")
    assert any(part in line for line in Source(directory=str(files), **SMALL).warnings())


def two_tables(d):
    metadata_jsonl(d)
    table(d / "captions.csv", [["filename", "caption"], ["0.png", "another"]])


def table_and_texts(d):
    stems(d)
    table(d / "captions.csv", [["filename", "caption"], *([f"{i}.png", f"other {i}"] for i in range(NUM))])


def two_folders_of_pictures(d):
    for name in ("edges", "photos"):
        pictures(d / name)
    for i in range(NUM):
        write(d / "captions" / f"{i}.txt", said(i))


def shards_and_files(d):
    webdataset(d)
    pictures(d)


@pytest.mark.parametrize(
    "make, got",
    [
        (two_tables, "captions.csv and metadata.jsonl, both of one; set data.layout='captions.csv'"),
        (table_and_texts, "captions.csv and 0.txt, both of one; set data.layout='captions.csv' for that table alone"),
        (two_folders_of_pictures, "edges and photos, of one name; keep one of a kind"),
        (shards_and_files, "shards (.tar) or files, got both (0.png, …)"),
    ],
)
def test_an_ambiguous_folder_is_refused_with_the_choices(make, got, files, cache):
    make(files)
    with pytest.raises(DataError) as error:
        Source(directory=str(files), **SMALL)
    assert got in str(error.value) and "data.layout='" in str(error.value)


def texts_of(directory: pathlib.Path, **fields) -> list[str]:
    source = Source(directory=str(directory), text_unit="byte", **ALL_TRAIN, **SMALL | {"text_length": 64}, **fields)
    return [text for example in everything(source) for text in example.get("texts", [])]


def test_a_line_with_several_files_is_an_example_of_them(files):
    pictures(files)
    for i in range(3):
        media.sound(files / f"sound{i}.wav", media.sine(amplitude=0.2 + 0.2 * i))
    rows = [[f"{i}.png", f"sound{i % 3}.wav", said(i)] for i in range(NUM - 1)]  # a sound of several pictures
    table(files / "pairs.csv", [["image", "audio", "caption"], *rows, [f"{NUM - 1}.png", "", said(NUM - 1)]])
    source = Source(directory=str(files), **ALL_TRAIN, **SMALL | {"audio_seconds": 0.5})
    batch = source.read(np.arange(len(source)), np.zeros(len(source), int))
    assert len(source) == NUM and batch["audio/mask"].sum() == NUM - 1 and not source.warnings()
    for i, example in enumerate(everything(source)):
        assert example["texts"] == [said(example["image"])]
        if batch["audio/mask"][i]:
            expected = 0.2 + 0.2 * (example["image"] % 3)
            assert abs(batch["audio"][i].std() * np.sqrt(2) - expected) < 0.02


def test_classes_of_texts_alone(files):
    for i in range(NUM):
        write(files / f"{i}.txt", said(i))
    table(files / "classes.csv", [["file", "label"], *([f"{i}.txt", i % 3] for i in range(NUM))])
    source = Source(directory=str(files), **ALL_TRAIN, **SMALL)
    batch = source.read(np.arange(NUM), np.zeros(NUM, int))
    words = [source.modalities["text"].tokenizer.decode(ids) for ids in batch["text"]]
    assert {int(text[-2:].strip("r")) % 3 for text, label in zip(words, batch["label"]) if label == 1} == {1}


def test_a_table_of_a_test_alone_is_no_split(files):
    pictures(files)
    table(files / "captions_test.csv", [["", "file", "caption"], *([i, f"{i}.png", said(i)] for i in range(NUM))])
    assert len(Source(directory=str(files), **SMALL)) == 10


def test_a_line_that_is_no_object_is_refused(files):
    metadata_jsonl(files)
    write(files / "metadata.jsonl", (files / "metadata.jsonl").read_text() + "\n{'file_name': 'x.png'}\n")
    with pytest.raises(DataError, match=r"metadata\.jsonl:13: data\.json: expected one JSON object"):
        Source(directory=str(files), **SMALL)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(["captions.csv", "captions.tsv", "metadata.jsonl", "captions.json", "notes.txt", "manifest.jsonl"]),
    st.one_of(
        st.binary(max_size=60),
        st.text(alphabet='0.png,\t|;"{}[]:\n textcaption', max_size=80).map(str.encode),
        st.recursive(
            st.one_of(st.none(), st.integers(), st.sampled_from(["0.png", "1.png", "images", "file_name", "a cat"])),
            lambda inner: st.one_of(
                st.lists(inner, max_size=3),
                st.dictionaries(
                    st.sampled_from(
                        ["images", "annotations", "file_name", "caption", "id", "image_id", "0.png", "split"]
                    ),
                    inner,
                    max_size=4,
                ),
            ),
            max_leaves=12,
        ).map(lambda value: json.dumps(value).encode()),
    ),
)
def test_any_table_is_read_or_warned_of_or_refused(tmp_path_factory, name, content):
    directory = tmp_path_factory.mktemp("files", numbered=True)
    for i in range(3):
        (directory / f"{i}.png").write_bytes(ONE_PIXEL)
    (directory / name).write_bytes(content)
    listing = folder_listing.read(directory)
    assert listing.problems or listing.bad or len(listing.examples) >= 3 or name == "manifest.jsonl"
    for line in map(str, listing.problems + listing.bad):
        assert "expected" in line


def test_a_layout_can_be_insisted_on(files):
    table_and_texts(files)
    assert sorted(texts_of(files, layout="stems")) == sorted(map(said, range(NUM)))
    assert sorted(texts_of(files, layout="captions.csv")) == sorted(f"other {i}" for i in range(NUM))
    with pytest.raises(DataError, match=r"data\.layout: expected stems, folders, classes or the name of a table"):
        Source(directory=str(files), layout="tables")
    with pytest.raises(DataError, match=r"0\.txt: data\.layout: expected a table with a column of files"):
        Source(directory=str(files), layout="0.txt")
    with pytest.raises(DataError, match=r"data\.layout: expected a folder for each class"):
        Source(directory=str(files), layout="classes")


def test_stems_are_read_as_if_no_layout_were_known(files):
    class_folders_by_split(files)
    source = Source(directory=str(files), layout="stems", **ALL_TRAIN, **SMALL)
    assert len(source) == NUM and list(source.modalities) == ["image"]
