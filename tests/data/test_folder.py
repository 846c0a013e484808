import dataclasses
import json
import os
import shutil
import subprocess
import sys

import media_files as media
import numpy as np
import pytest

from mmgen_jax import lookup
from mmgen_jax.data.files import folder_items, folder_listing
from mmgen_jax.data.folder import Source
from mmgen_jax.errors import DataError, LookupFailed
from mmgen_jax.modalities import image, modality

NUM = 20
SMALL = {"image_size": 8, "num_frames": 2, "audio_seconds": 0.25, "text_length": 8}


@pytest.fixture
def mixed(tmp_path, cache):
    """20 examples: each has a text and an image; the even ones a recording, every fifth a clip with sound."""
    directory = tmp_path / "files"
    (directory / "more").mkdir(parents=True)
    for i in range(NUM):
        stem = directory / ("more" if i % 3 == 0 else "") / f"thing {i:02d}"
        stem.with_suffix(".txt").write_text(f"thing number {i}", encoding="utf-8")
        media.picture(stem.with_suffix(".jpg" if i % 2 else ".png"), np.full((8, 8, 3), 10 * i, np.uint8))
        if i % 2 == 0:
            media.sound(stem.with_suffix(".wav"), media.sine(amplitude=i / 40))
        if i % 5 == 0:
            media.clip(stem.with_suffix(".mp4"), samples=media.sine(16_000, amplitude=0.9))
    return directory


def read_all(source):
    return source.read(np.arange(len(source)), np.zeros(len(source), np.int64))


def number_of(source, batch, i) -> int:
    return int(source.modalities["text"].tokenizer.decode(batch["text"][i]).split()[-1].replace("?", "-1"))


def test_batches_keep_to_their_modalities_and_partners_are_those_of_the_stem(mixed):
    source = Source(directory=str(mixed), test_fraction=0.0, validation_fraction=0.0, **SMALL)
    assert len(source) == NUM and source.names == ("text", "image", "audio", "video")
    batch = read_all(source)
    modality.check_batch(batch, source.modalities)
    assert {name for name in batch if "/" in name} == {"audio/mask", "video/mask"}
    for i in range(NUM):
        number = number_of(source, batch, i)
        np.testing.assert_allclose(batch["image"][i], 10 * number / 127.5 - 1, atol=0.05)
        assert batch["video/mask"][i] == (number % 5 == 0) and batch["video"][i].any() == batch["video/mask"][i]
        assert batch["audio/mask"][i] == (number % 2 == 0 or number % 5 == 0)
        # A recording goes before the sound of the clip.
        amplitude = number / 40 if number % 2 == 0 else 0.9 if number % 5 == 0 else 0.0
        assert abs(batch["audio"][i].std() * np.sqrt(2) - amplitude) < 0.05


def test_clips_with_sound_may_come_after_many_without(tmp_path, cache):
    """More than are decoded at a time (64)."""
    frames = np.stack([media.pixels(16, 16, seed=t) for t in range(2)])
    for i in range(68):
        media.clip(tmp_path / f"{i:02d}.mp4", frames, samples=media.sine(8000, 0.1) if i >= 66 else None)
    source = Source(directory=str(tmp_path), test_fraction=0.0, validation_fraction=0.0, **SMALL)
    assert read_all(source)["audio/mask"].tolist() == [False] * 66 + [True] * 2


def test_splits_are_disjoint_complete_and_fixed(mixed):
    numbers = {}
    for split in Source.splits:
        source = Source(directory=str(mixed), split=split, text_unit="byte", **SMALL | {"text_length": 32})
        numbers[split] = [number_of(source, read_all(source), i) for i in range(len(source))]
    assert {split: len(values) for split, values in numbers.items()} == {"train": 16, "validation": 2, "test": 2}
    assert sorted(number for values in numbers.values() for number in values) == list(range(NUM))


@pytest.mark.parametrize("fractions", [(0.1, 0.1), (0.0, 0.2), (0.3, 0.0)])
def test_split_depends_on_the_stems_and_the_seed_alone(fractions):
    stems = [f"cat {i}" for i in range(100)]
    splits = folder_items.split_of(stems, 0, *fractions)
    assert folder_items.split_of(stems[::-1] + stems, 0, *fractions) == splits
    assert folder_items.split_of(stems, 1, *fractions) != splits
    counts = [list(splits.values()).count(split) for split in ("validation", "test")]
    assert counts == [round(100 * fraction) for fraction in fractions]
    grown = folder_items.split_of([*stems, "dog"], 0, *fractions)
    assert sum(grown[stem] != splits[stem] for stem in stems) <= 2  # one at each edge


def test_three_examples_fill_three_splits():
    assert set(folder_items.split_of(["a", "b", "c"], 0, 0.1, 0.1).values()) == set(Source.splits)


def test_indices_may_be_read_in_any_order_and_again(mixed):
    source = Source(directory=str(mixed), **SMALL)
    whole, order = read_all(source), np.array([5, 0, 5, 11])
    some = source.read(order, np.ones(4, np.int64))
    assert all(np.array_equal(some[name], whole[name][order]) for name in whole)


def test_another_process_reads_identical_arrays(mixed):
    program = (
        "import sys, hashlib, json, numpy as np; from mmgen_jax.data.folder import Source;"
        "source = Source(directory=sys.argv[1], **json.loads(sys.argv[2])); n = len(source);"
        "batch = source.read(np.arange(n), np.zeros(n, int));"
        "print(hashlib.sha256(b''.join(batch[k].tobytes() for k in sorted(batch))).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program, mixed, json.dumps(SMALL)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "MMGEN_CACHE": str(mixed.parent / name)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for name in ("cache one", "cache two")
    }
    assert len(digests) == 1


def test_names_choose_what_is_read_and_which_examples_count(mixed):
    source = Source(directory=str(mixed), names=("video",), test_fraction=0.0, validation_fraction=0.0, **SMALL)
    assert list(source.modalities) == ["video"] and len(source) == 4
    assert read_all(source)["video/mask"].all()  # the mask stays, as in every split


def test_vocabulary_is_that_of_the_training_texts(mixed):
    source = Source(directory=str(mixed), **SMALL)
    words = source.modalities["text"].tokenizer.vocabulary
    assert set(words) - {"thing", "number"} == {str(number_of(source, read_all(source), i)) for i in range(16)}
    assert Source(directory=str(mixed), split="test", **SMALL).modalities == source.modalities
    frequent = Source(directory=str(mixed), min_count=2, **SMALL)
    assert frequent.modalities["text"].tokenizer.vocabulary == ("number", "thing")


def test_a_changed_file_is_decoded_again_and_others_are_not_decoded_twice(mixed, monkeypatch):
    Source(directory=str(mixed), **SMALL)
    decoded = []
    monkeypatch.setattr(image, "read", lambda path, shape, name: decoded.append(path) or np.ones(shape, np.float32))
    Source(directory=str(mixed), **SMALL)
    assert not decoded
    media.picture(mixed / "thing 01.jpg", media.pixels(9, 9))
    assert (read_all(Source(directory=str(mixed), **SMALL))["image"] == 1).all() and len(decoded) == NUM
    with pytest.raises(DataError, match=r"thing 01\.jpg: image\.content"):
        media.cut(mixed / "thing 01.jpg")
        Source(directory=str(mixed), **SMALL)


def test_manifest_lines_are_the_examples(tmp_path, cache):
    directory = tmp_path / "files"
    directory.mkdir()
    for name in "abc":
        media.picture(directory / f"{name}.png", np.full((8, 8, 3), ord(name), np.uint8))
    media.clip(directory / "m.mp4", samples=media.sine(16_000))
    lines = [
        {"image": "a.png", "text": "one"},
        {"image": "a.png", "text": "two"},
        {"image": "b.png", "video": "m.mp4"},
    ]
    (directory / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    source = Source(directory=str(directory), test_fraction=0.0, validation_fraction=0.0, **SMALL)
    batch = read_all(source)
    np.testing.assert_allclose(batch["image"][:, 0, 0, 0], np.array([97, 97, 98]) / 127.5 - 1, atol=0.01)
    assert batch["text/mask"].tolist() == [True, True, False]
    assert batch["audio/mask"].tolist() == batch["video/mask"].tolist() == [False, False, True]
    listing = folder_listing.read(directory)
    assert [line.split("/")[-1] for line in listing.ignored] == ["c.png: not in manifest.jsonl"]
    assert listing.examples[0].group == listing.examples[1].group  # lines of one file share a split


def test_problems_are_all_found_at_once(mixed):
    media.cut(mixed / "thing 01.jpg")
    (mixed / "thing 02.txt").write_bytes(b"\xff")
    media.picture(mixed / "thing 02.jpg")
    problems = Source.examine(directory=str(mixed), **SMALL).problems
    assert sorted(problem.args[:3] for problem in problems) == [
        (str(mixed / "thing 01.jpg"), "image", "content"),
        (str(mixed / "thing 02.png"), "image", "stem"),
        (str(mixed / "thing 02.txt"), "text", "encoding"),
    ]
    problems = Source.examine(directory=str(mixed), names=("audio",), **SMALL).problems
    assert [problem.args[2] for problem in problems] == ["stem"]


def test_source_is_found_by_its_name_and_refuses_a_misspelt_field(mixed):
    source = lookup.build("data", {"name": "folder", "directory": str(mixed), **SMALL})
    assert len(source) == 16
    with pytest.raises(LookupFailed, match="image_sise"):
        lookup.build("data", {"name": "folder", "directory": str(mixed), "image_sise": 8})
    assert "split" in {field.name for field in dataclasses.fields(Source)}


def test_emoji_folder_is_read_as_it_lies(mmgen_data, cache, tmp_path):
    for file in sorted((mmgen_data / "emoji" / "png32").glob("*.png"))[:30]:
        shutil.copy(file, tmp_path)
    source = Source(directory=str(tmp_path), **SMALL)
    assert source.names == ("image",) and len(source) == 24
    modality.check_batch(read_all(source), source.modalities)


def test_a_manifest_may_have_several_fields_of_one_kind(tmp_path, cache):
    lines = []
    for i in range(20):
        media.picture(tmp_path / f"{i}.png", np.full((8, 8, 3), 10 * i, np.uint8))
        media.picture(tmp_path / f"{i}_edges.png", np.full((8, 8, 3), 255 - 10 * i, np.uint8))
        labels = {"color": {"label": "red" if i % 2 else "blue"}, "shape": {"label": "abc"[i % 3]}}
        texts = {"title": {"text": f"number {i}"}, "text": "a cat"}
        lines.append({"photo": f"{i}.png", "edges": f"{i}_edges.png", **labels, **texts})
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    source = Source(directory=str(tmp_path), image_size=8)
    kinds = {"photo": "image", "edges": "image", "color": "label", "shape": "label", "title": "text", "text": "text"}
    assert {name: modality.kind for name, modality in source.modalities.items()} == kinds
    batch = read_all(source)
    modality.check_batch(batch, source.modalities)
    assert source.places([0, 1]) == [place for place in source.places(range(len(source)))[:2] if place.endswith(".png")]
    tens = np.rint((batch["photo"][:, 0, 0, 0] + 1) * 12.75).astype(int)
    np.testing.assert_array_equal(tens % 2, batch["color"])  # blue, red
    np.testing.assert_array_equal(tens % 3, batch["shape"])
    np.testing.assert_allclose(batch["photo"] + batch["edges"], 0, atol=1e-6)
    said = [source.modalities["title"].tokenizer.decode(ids) for ids in batch["title"]]
    assert all(text in (f"number {ten}", "number <unknown>") for text, ten in zip(said, tens))
