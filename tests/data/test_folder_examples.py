"""What becomes of a folder's files once its layout is known: captions drawn, still GIFs, bad files, the fingerprint."""

import pathlib

import media_files as media
import numpy as np
import pytest
import tiny
from folder_layouts import (
    ALL_TRAIN,
    NUM,
    SMALL,
    caption_csv,
    class_folders,
    class_folders_with_texts,
    everything,
    picture,
    pictures,
    said,
    several_captions,
    stems,
    table,
    write,
)
from folder_layouts_more import (
    one_picture_of_each_class,
    split_folders,
    stray_beside_classes,
    submission,
    train_and_another,
    two_labels_of_a_file,
    two_splits_of_a_file,
    unlabeled_beside_splits,
    yolo,
)

from mmgen_jax import check_data, train
from mmgen_jax.data.folder import Source
from mmgen_jax.errors import DataError


@pytest.fixture
def files(tmp_path, cache) -> pathlib.Path:
    """An empty folder."""
    (tmp_path / "files").mkdir()
    return tmp_path / "files"


def test_lines_of_a_file_can_be_one_text(files):
    several_captions(files)
    source = Source(directory=str(files), text_lines="joined", text_unit="byte", **SMALL | {"text_length": 99})
    assert all(len(example["texts"]) == 1 for example in everything(source))
    assert everything(source)[0]["texts"][0].count("\n") == 2


def test_training_draws_one_of_several_captions_by_seed_epoch_and_index(files):
    several_captions(files)
    source = Source(directory=str(files), **ALL_TRAIN, **SMALL)

    def drawn(epoch, source=source):
        ids = source.read(np.arange(NUM), np.full(NUM, epoch))["text"]
        return [source.modalities["text"].tokenizer.decode(row) for row in ids]

    epochs = [drawn(epoch) for epoch in range(8)]
    assert drawn(3) == epochs[3] and len({tuple(epoch) for epoch in epochs}) == 8
    for i in range(NUM):
        number = epochs[0][i].split()[-1]
        assert {epoch[i] for epoch in epochs} >= {said(int(number[6:]), form) for form in range(2)}
    assert drawn(0, Source(directory=str(files), seed=1, **ALL_TRAIN, **SMALL)) != epochs[0]
    held_out = Source(directory=str(files), split="test", **SMALL)
    assert drawn_alike(held_out)


def drawn_alike(source) -> bool:
    """Whether every pass shows the same."""
    batches = [source.read(np.arange(len(source)), np.full(len(source), epoch))["text"] for epoch in range(4)]
    return all((batch == batches[0]).all() for batch in batches)


def test_still_gifs_are_images_where_the_example_has_no_other(files):
    for i in range(4):
        media.picture(files / f"{i}.gif", np.full((8, 8, 3), 20 * i, np.uint8))
        write(files / f"{i}.txt", said(i))
    media.clip(files / "4.gif", codec="gif")
    picture(files / "5.png", 5)
    media.picture(files / "5.gif", np.full((8, 8, 3), 255, np.uint8))
    source = Source(directory=str(files), **ALL_TRAIN, **SMALL)
    batch = source.read(np.arange(6), np.zeros(6, int))
    assert batch["image/mask"].tolist() == [True] * 4 + [False, True]
    assert batch["video/mask"].tolist() == [False] * 4 + [True, True]
    np.testing.assert_allclose(batch["image"][5], 100 / 127.5 - 1, atol=0.01)


@pytest.fixture
def damaged(files):
    """One picture that is cut off, one text that is not UTF-8, one line that names no file."""
    pictures(files)
    rows = [[f"{i}.png", said(i)] for i in range(1, NUM)]
    table(files / "captions.csv", [["filename", "caption"], *rows, ["99.png", said(99)]])
    (files / "0.txt").write_bytes(b"\xff\xfe")
    media.cut(files / "3.png", 0.5)
    return files


def test_bad_files_are_refused_or_skipped(damaged, capsys):
    fields = {"directory": str(damaged), **SMALL}
    assert check_data.check_source(Source, fields) == 1
    problems = [line for line in capsys.readouterr().out.splitlines() if line.startswith("PROBLEM")]
    assert [any(part in line for line in problems) for part in ("3.png", "0.txt", "captions.csv:13")] == [True] * 3
    with pytest.raises(DataError, match=r"captions\.csv:13: data\.path: expected a file of the folder, got '99\.png'"):
        Source(**fields, **ALL_TRAIN)

    source = Source(**fields, **ALL_TRAIN, bad_files="skip")
    batch = source.read(np.arange(len(source)), np.zeros(len(source), int))
    assert len(source) == NUM and batch["image/mask"].sum() == NUM - 1 and batch["text/mask"].sum() == NUM - 1
    (warning,) = source.warnings()
    assert warning.startswith("files and lines that are skipped: 3, first ")
    assert check_data.check_source(Source, fields | {"bad_files": "skip"}) == 0
    out = capsys.readouterr().out
    skipped = [line for line in out.splitlines() if line.startswith("SKIPPED")]
    assert [any(part in line for line in skipped) for part in ("3.png", "0.txt", "captions.csv:13")] == [True] * 3
    assert f"WARNING {warning}" in out and "nothing stops training; warnings: 1" in out
    with pytest.raises(DataError, match=r"3\.png"):  # what was cached while skipping does not hide it
        (damaged / "0.txt").unlink()
        captions = (damaged / "captions.csv").read_text().splitlines()
        write(damaged / "captions.csv", "\n".join(captions[:-1]))
        Source(**fields, **ALL_TRAIN)


def test_a_class_alone_is_no_example(files):
    class_folders(files)
    media.cut(files / "cat" / "1.png", 0.5)
    source = Source(directory=str(files), bad_files="skip", **ALL_TRAIN, **SMALL)
    assert len(source) == NUM - 1 and {example["image"] for example in everything(source)} == {*range(NUM)} - {1}
    assert len(Source(directory=str(files), names=("label",), **ALL_TRAIN, **SMALL)) == NUM


def test_fingerprint_is_of_the_content_and_not_of_the_place(tmp_path, cache):
    one, other = tmp_path / "one", tmp_path / "other"
    for directory in (one, other):
        directory.mkdir()
        class_folders_with_texts(directory)

    def fingerprint(directory=one, **fields):
        return Source(**{"directory": str(directory), **SMALL, **fields}).fingerprint()

    first = fingerprint()
    assert first == fingerprint(other) == fingerprint(split="test") == fingerprint(names=("image",))
    for fields in ({"seed": 1}, {"test_fraction": 0.2}, {"text_unit": "byte", "text_length": 64}, {"layout": "stems"}):
        assert fingerprint(**fields) != first
    assert fingerprint(bad_files="skip") != first
    write(one / "cat" / "1.txt", said(2))  # as long as before
    changed = fingerprint()
    assert changed != first
    picture(one / "cat" / "99.png", 3)
    assert fingerprint() not in (first, changed)


def test_train_says_what_it_reads(files, tmp_path, capsys):
    caption_csv(files)
    write(files / "0.heic", "x")
    config = tiny.config("vae", num_samples=2)
    with config.unlocked():
        config.data = {"name": "folder", "directory": str(files), "names": ("text", "image"), "image_size": 16}
    train.train(config, tmp_path / "run")
    out = "".join(capsys.readouterr())
    assert "data: captions.csv: 12 lines" in out and "WARNING files that end in .heic are not read: 1" in out


def numbers(files, split, **fields) -> set[int]:
    """What the pictures of a split show."""
    return {example["image"] for example in everything(Source(directory=str(files), split=split, **SMALL, **fields))}


@pytest.mark.parametrize("name", ["holdout", "hold_out", "dev_test", "test1", "Test_Set"])
def test_a_held_out_folder_is_the_test_split(files, name):
    for i in range(NUM):
        picture(files / ("train" if i < 9 else name) / f"{i}.png", i)
    assert numbers(files, "test") == {9, 10, 11} and len(numbers(files, "validation")) == 1


def test_splits_of_a_few_files_are_not_kept_but_warned_of(files):
    pictures(files)
    for i in range(4):
        picture(files / "old" / ("train" if i < 2 else "test") / f"{i + 20}.png", i)
    source = Source(directory=str(files), **ALL_TRAIN, **SMALL)
    assert len(source) == NUM + 4
    assert any("test, train are not read as splits: 12 of 16 files lie elsewhere" in w for w in source.warnings())


def test_a_table_may_give_the_split_of_a_file_outside_the_splits(files):
    unlabeled_beside_splits(files)
    table(files / "more.csv", [["file", "text", "split"], *([f"unlabeled/{i}.png", said(i), "val"] for i in range(3))])
    assert numbers(files, "validation") == {8, 9, NUM} and NUM not in numbers(files, "train")
    assert not Source(directory=str(files), **SMALL).warnings()


def test_a_stray_picture_lacks_a_class_and_takes_none_away(files):
    stray_beside_classes(files)
    source = Source(directory=str(files), **ALL_TRAIN, **SMALL)
    batch = source.read(np.arange(len(source)), np.zeros(len(source), int))
    assert batch["label/mask"].sum() == NUM == len(source) - 1
    labels = [example["label"] for example in everything(source) if example["image"] < NUM]
    assert sorted(labels) == ["bird"] * 4 + ["cat"] * 4 + ["dog"] * 4


def test_labels_of_a_submission_are_not_those_of_the_test_split(files):
    submission(files)
    source = Source(directory=str(files), split="test", **SMALL)
    assert not source.read(np.arange(len(source)), np.zeros(len(source), int))["label/mask"].any()


def test_the_first_of_two_labels_counts_and_the_held_out_of_two_splits(files):
    two_labels_of_a_file(files)
    source = Source(directory=str(files), **ALL_TRAIN, **SMALL)
    assert {example["image"]: example["label"] for example in everything(source)}[0] == "bird"
    (files / "labels.csv").unlink()
    two_splits_of_a_file(files)
    assert numbers(files, "test") == {0, 1, 2} and not {0, 1, 2} & numbers(files, "train")


def test_rows_of_numbers_are_texts_only_where_the_layout_is_insisted_on(files):
    yolo(files)
    assert Source(directory=str(files), **SMALL).names == ("image",)
    for path in (files / "labels").glob("*/3.txt"):
        path.unlink()
    assert Source(directory=str(files), layout="folders", **SMALL | {"text_length": 64}).names == ("text", "image")


@pytest.mark.parametrize("make, num_classes", [(one_picture_of_each_class, NUM), (train_and_another, 2)])
def test_classes_that_are_insisted_on_are_read_without_a_warning(make, num_classes, files):
    make(files)
    source = Source(directory=str(files), layout="classes", **ALL_TRAIN, **SMALL)
    assert source.modalities["label"].num_classes == num_classes and not source.warnings()


def test_train_tells_how_to_skip_what_cannot_be_used(files):
    stems(files)
    write(files / "1.txt", " ")
    advice = "or set data.bad_files='skip' to leave out what cannot be used"
    with pytest.raises(DataError, match=rf"1\.txt: text\.length: expected .*{advice}$"):
        Source(directory=str(files), **SMALL)
    write(files / "1.txt", "a picture")
    (files / "2.txt").write_bytes("caf\xe9".encode("latin-1"))
    write(files / "3.txt", " ")
    with pytest.raises(DataError, match=rf"2\.txt: text\.encoding: expected UTF-8.*{advice} \(and 1 more: "):
        Source(directory=str(files), **SMALL)
    for name in ("2.txt", "3.txt"):
        (files / name).unlink()
    media.cut(files / "4.png", 0.5)
    with pytest.raises(DataError, match=rf"4\.png: image\..*{advice}$"):
        Source(directory=str(files), **SMALL)
    picture(files / "4.jpg", 4)
    with pytest.raises(DataError, match="one image file per stem") as error:  # which skipping does not mend
        Source(directory=str(files), **SMALL)
    assert "bad_files" not in str(error.value)


def test_classes_of_splits_may_have_one_name_each(files):
    split_folders("train_v2", "val_v2", "test_final")(files)
    assert numbers(files, "test") == {10, 11} and "label" not in Source(directory=str(files), **SMALL).names


def test_spoken_digits_are_words(tmp_path, cache):
    directory = tmp_path / "spoken"
    directory.mkdir()
    for i in range(12):
        media.sound(directory / f"{i}.wav")
        (directory / f"{i}.txt").write_text(f"{i % 10} 1 4 1 5\n")
    source = Source(directory=str(directory), audio_seconds=0.5)
    assert set(source.modalities) == {"text", "audio"} and not source.warnings()


def test_what_lengths_and_rates_drop_is_told(tmp_path, cache):
    directory = tmp_path / "clips"
    directory.mkdir()
    for i in range(12):
        more = {"samples": media.sine(16000, seconds=0.4)} if i < 5 else {}
        media.clip(directory / f"{i}.mp4", rate=25, **more)  # 10 frames, 0.4 s
    fields = {"directory": str(directory), "image_size": 8, "audio_seconds": 0.2, "sample_rate": 8000}
    for _ in range(2):  # the second time from the cache
        assert Source(**fields, num_frames=2, frame_rate=25.0).warnings() == [
            "audio: 5 of 5 files are longer than 0.2 s and are cut; raise data.audio_seconds",
            "audio: 5 of 5 files have more than 8000 Hz and lose their high frequencies; raise data.sample_rate",
            "video: 12 of 12 files are longer than 2 frames at 25 frames/s and are cut; raise data.num_frames",
        ]
    whole = {**fields, "audio_seconds": 0.5, "sample_rate": 16000}
    assert Source(**whole, num_frames=2).warnings() == Source(**whole, num_frames=10, frame_rate=25.0).warnings() == []


def test_two_pictures_of_a_stem_are_refused_where_bad_files_are_skipped(tmp_path, cache):
    for i in range(12):
        media.picture(tmp_path / f"{i}.png")
    media.picture(tmp_path / "0.jpg")
    with pytest.raises(DataError, match=r"expected one image file per stem, got .*rename or remove one of them$"):
        Source(directory=str(tmp_path), image_size=8, bad_files="skip")
