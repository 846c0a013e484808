"""Splits that the lines of a table, a manifest or .json files give: a line without a split changes no other's split."""

import json

import pytest
from folder_layouts import SMALL, everything, pictures, said, table, write

from mmgen_jax import check_data
from mmgen_jax.data.folder import Source

TRAINED = 8  # pictures of the training split


def table_of(d, cells):
    rows = [[f"{i}.png", said(i), cell] for i, cell in enumerate(cells)]
    table(d / "data.csv", [["image", "caption", "split"], *rows])


def lines_of(d, cells, name="metadata.jsonl", key="file_name"):
    rows = [{key: f"{i}.png", "text": said(i), **({"split": c} if c else {})} for i, c in enumerate(cells)]
    write(d / name, "\n".join(map(json.dumps, rows)))


def manifest_of(d, cells):
    lines_of(d, cells, "manifest.jsonl", "image")


def sidecars_of(d, cells):
    for i, cell in enumerate(cells):
        write(d / f"{i}.json", json.dumps({"caption": said(i), **({"split": cell} if cell else {})}))


@pytest.fixture
def files(tmp_path, cache):
    pictures(tmp_path / "files")
    return tmp_path / "files"


def shown(files, **fields) -> dict[str, set[int]]:
    """The numbers of the pictures in each split."""
    found = {}
    for split in Source.splits:
        source = Source(directory=str(files), split=split, **SMALL, **fields)
        found[split] = {example["image"] for example in everything(source)}
    return found


def warnings(files, capsys, **fields) -> list[str]:
    assert check_data.check_source(Source, {"directory": str(files), **SMALL, **fields}) == 0
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("WARNING")]


@pytest.mark.parametrize("write_splits", [table_of, lines_of, manifest_of, sidecars_of])
def test_a_line_without_a_split_is_left_out_and_the_others_keep_theirs(write_splits, files, capsys):
    write_splits(files, ["", *["train"] * (TRAINED - 1), *["eval"] * 2, *["test"] * 2])
    trained = set(range(1, TRAINED))
    assert shown(files) == {"train": trained, "validation": {8, 9}, "test": {10, 11}}
    (line,) = warnings(files, capsys)
    assert "files without a split, which " in line and "are not used: 1 (" in line and "write train, valid" in line


def test_a_cell_that_is_no_split_is_named(files, capsys):
    table_of(files, ["tset", *["train"] * (TRAINED - 1), *["test"] * 4])
    assert shown(files)["test"] == {8, 9, 10, 11}
    (line,) = warnings(files, capsys)
    assert "data.csv may give (first " in line and "data.csv:2: 'tset'), are not used: 1 (" in line


def test_a_picture_of_a_skipped_line_is_not_trained_on(files, capsys):
    lines_of(files, ["train"] * TRAINED + ["test"] * 4)
    lines = (files / "metadata.jsonl").read_text().splitlines()
    write(files / "metadata.jsonl", "\n".join([*lines[:-1], lines[-1][:-5]]))
    found = shown(files, bad_files="skip")
    assert found["test"] == {8, 9, 10} and found["train"] | found["validation"] == set(range(TRAINED))
    assert any("are not used: 1 (11.png)" in line for line in warnings(files, capsys, bad_files="skip"))


def test_splits_of_held_out_lines_alone_leave_the_others_for_training(files, capsys):
    table_of(files, [""] * TRAINED + ["val"] * 2 + ["test"] * 2)
    assert shown(files) == {"train": set(range(TRAINED)), "validation": {8, 9}, "test": {10, 11}}
    assert any("are for training: 8 (" in line for line in warnings(files, capsys))
