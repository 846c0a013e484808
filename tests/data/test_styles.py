"""Styles: parts of pictures whose splits share no pixel."""

import numpy as np
import pytest
from PIL import Image

from mmgen_jax.data import fingerprint, styles
from mmgen_jax.errors import DataError

SPLITS = styles.Source.splits


@pytest.fixture
def folder(tmp_path):
    """Pictures whose red channel is the column."""
    (tmp_path / "more").mkdir()
    for name, (height, width) in {"a.png": (64, 128), "more/b.png": (80, 64)}.items():
        red = np.broadcast_to(np.arange(width) * (255 / width), (height, width))
        rgb = np.stack([red, np.full((height, width), 40), np.full((height, width), 9)], -1)
        Image.fromarray(rgb.astype(np.uint8)).save(tmp_path / name)
    return tmp_path


def test_splits_are_parts_of_every_picture_from_left_to_right(folder):
    reds = {}
    for split in SPLITS:
        source = styles.Source(split=split, directory=str(folder), image_size=16, parts=9)
        batch = source.read(np.arange(len(source)), np.zeros(len(source), int))
        assert batch["image"].shape == (len(source), 16, 16, 3) and batch["image"].dtype == np.float32
        reds[split] = (batch["image"][..., 0] + 1) / 2
    assert len(reds["train"]) == 2 * 9
    assert reds["train"].max() <= 0.5 and reds["train"].min() < 0.02 and reds["train"].max() > 0.47
    assert reds["validation"].min() > 0.48 and reds["validation"].max() <= 0.75
    assert reds["test"].min() > 0.73


def test_the_fingerprint_is_that_of_the_pictures(folder, tmp_path):
    first = styles.Source(directory=str(folder), image_size=16)
    other = styles.Source(directory=str(folder), image_size=16, split="test")
    assert first.fingerprint() == other.fingerprint()
    before = fingerprint.of(first)
    Image.new("RGB", (64, 64), "red").save(folder / "a.png")
    assert fingerprint.of(styles.Source(directory=str(folder), image_size=16)) != before


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(DataError, match="expected pictures"):
        styles.Source(directory=str(tmp_path))


def test_a_picture_that_is_none_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"a\.png"):
        styles.Source(directory=str(tmp_path))


def test_the_sets_own_styles(mmgen_data):
    pytest.importorskip("skimage")
    sizes = {split: len(styles.Source(split=split)) for split in SPLITS}
    assert sizes == {"train": 1312 + 640, "validation": 178 + 40, "test": 160 + 40}
    source = styles.Source(split="test")
    batch = source.read(np.array([0, len(source) - 1]), np.zeros(2, int))
    assert batch["image"].shape == (2, 64, 64, 3) and np.abs(batch["image"]).max() <= 1
