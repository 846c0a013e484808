import local_sets
import media_files
import numpy as np
import pytest

from mmgen_jax.data import clothing
from mmgen_jax.errors import DataError
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.training import augment

CHANNEL = {"dress": 0, "hat": 1, "t-shirt": 2}  # of the full colour that stands for a class in the made set


@pytest.fixture
def made(tmp_path, cache):
    """Three classes of plain pictures, of sizes and formats that differ, in each split."""
    for split, count in (("train", 4), ("validation", 2), ("test", 1)):
        for name, channel in CHANNEL.items():
            folder = tmp_path / "set" / split / name
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = np.zeros((40, 40 + 8 * i, 3), np.uint8)
                pixels[..., channel] = 255
                media_files.picture(folder / f"{i}.{'png' if i % 2 else 'jpg'}", pixels)
    return str(tmp_path / "set")


def test_made_set_pairs_image_label_and_caption(made):
    for split, count in (("train", 12), ("validation", 6), ("test", 3)):
        source = clothing.Source(directory=made, split=split, image_size=16)
        assert len(source) == count
        batch = local_sets.check(source)
        for label, image, ids in zip(batch["clothing"], batch["image"], batch["text"]):
            name = clothing.CLASSES[label]
            assert image.mean((0, 1)).argmax() == CHANNEL[name]
            assert clothing.TOKENIZER.decode(ids) in {
                " ".join(clothing.TOKENIZER.split(caption)) for caption in clothing.captions(name)
            }


def test_captions_change_by_pass_in_training_alone(made):
    for split, changes in (("train", True), ("validation", False)):
        source = clothing.Source(directory=made, split=split, names=("text",))
        passes = [local_sets.digest(local_sets.read(source, range(len(source)), epoch)) for epoch in range(3)]
        assert len(set(passes)) == (3 if changes else 1)
    fields = {"directory": made, "image_size": 16}
    here = local_sets.digest(local_sets.read(clothing.Source(**fields), range(12), epoch=7))
    assert here == local_sets.digest_elsewhere("clothing", fields, range(12), epoch=7)


def test_a_caption_tells_the_class_and_fits():
    owner = {}
    for name in clothing.CLASSES:
        for caption in clothing.captions(name):
            assert owner.setdefault(caption, name) == name
            clothing.TOKENIZER.encode(caption, clothing.Source.text_length)


def test_a_changed_photo_is_decoded_again(made, tmp_path):
    before = local_sets.read(clothing.Source(directory=made, image_size=16), [0])["image"]
    media_files.picture(tmp_path / "set" / "train" / "dress" / "0.jpg", np.zeros((40, 40, 3), np.uint8))
    after = local_sets.read(clothing.Source(directory=made, image_size=16), [0])["image"]
    assert before.max() > 0.9 and after.max() < -0.9


def test_flip_hue_and_zoom_are_allowed_where_the_source_says_so(made):
    source = clothing.Source(directory=made)
    settings = {"image": {"flip": 0.5, "hue": 0.1, "zoom": 0.2}}
    augment.check(settings, source.modalities, frozenset(source.label_preserving))
    with pytest.raises(ValueError, match="flip"):
        augment.check(
            {"image": {"flip": 0.5}}, source.modalities | {"video": Modality("video", (2, 8, 8, 3))}, frozenset()
        )


def test_refusals(made, tmp_path, monkeypatch):
    monkeypatch.delenv("MMGEN_DATA", raising=False)
    with pytest.raises(DataError, match=r"a folder with train, .* got MMGEN_DATA not set.*clothing-dataset-small"):
        clothing.Source()
    monkeypatch.setenv("MMGEN_DATA", str(tmp_path))
    with pytest.raises(DataError, match=rf"{tmp_path}/clothing: data.directory: .* got no train"):
        clothing.Source()
    for fields, message in (
        ({"split": "dev"}, "clothing.split: expected train, validation, test, got 'dev'"),
        ({"names": ("text", "audio")}, "clothing.names: expected some of text, image, clothing"),
        ({"image_size": 4}, "clothing.image_size: expected 8 to 512, got 4"),
    ):
        with pytest.raises(ValueError, match=message):
            clothing.Source(directory=made, **fields)
    (tmp_path / "set" / "train" / "sock").mkdir()
    media_files.picture(tmp_path / "set" / "train" / "sock" / "1.png")
    with pytest.raises(DataError, match=r"1.png: clothing.folder: expected one of dress.*got sock"):
        clothing.Source(directory=made)


def test_a_damaged_photo_is_named(made, tmp_path):
    media_files.cut(media_files.picture(tmp_path / "set" / "train" / "hat" / "9.png"))
    with pytest.raises(DataError, match=r"9.png: image"):
        clothing.Source(directory=made)
    assert len(clothing.Source(directory=made, names=("clothing",))) == 13  # the photos are not needed


@pytest.mark.parametrize("split, size", [("train", 3068), ("validation", 341), ("test", 372)])
def test_real_set(mmgen_data, split, size):
    source = clothing.Source(split=split)
    assert len(source) == size
    batch = local_sets.check(source, 100)
    assert set(batch["clothing"]) == set(range(10))
    assert batch["image"].std() > 0.3
    assert len(np.unique(batch["image"].reshape(len(batch["image"]), -1), axis=0)) > 95
