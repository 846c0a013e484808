"""Data sets side by side: what is drawn anew, what belongs together, and what two halves share."""

import pickle

import numpy as np
import pytest
import tiny
from local_sets import digest, read

from mmgen_jax import check_data
from mmgen_jax.config import loading
from mmgen_jax.config.system import open_source
from mmgen_jax.data import fingerprint
from mmgen_jax.data.unpaired import Source
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities import modality

SMALL = {"name": "small_digits", "of": "image", "image_size": 8}
SIDES = {"left": SMALL, "right": {**SMALL, "image_size": 16}}
HALVES = {"left": {**SMALL, "part": (0, 2)}, "right": {**SMALL, "part": (1, 2)}}
THIRDS = {"left": {**SMALL, "part": (0, 3)}, "right": SMALL}


def every(source, name, epoch=0):
    return read(source, range(len(source)), epoch)[name]


def identities(images):
    return {image.tobytes() for image in images}


@pytest.mark.parametrize("split, size", [("train", 1197), ("validation", 200), ("test", 400)])
def test_each_set_gives_its_modality_and_its_labels(split, size):
    source = Source(SIDES, split=split)
    assert len(source) == size
    assert list(source.modalities) == ["left", "left_digit", "right", "right_digit"]
    batch = read(source, range(30))
    modality.check_batch(batch, source.modalities)
    assert set(batch) == set(source.modalities)
    assert digest(read(pickle.loads(pickle.dumps(source)), range(30))) == digest(batch)
    few = Source(SIDES, split=split, names=("right", "right_digit"))
    np.testing.assert_array_equal(read(few, range(30))["right"], batch["right"])
    with pytest.raises(IndexError):
        read(source, [size])


def test_an_offset_pairs_unrelated_examples_of_the_held_out_splits():
    same = {"left": SMALL, "right": SMALL}
    apart = {"left": SMALL, "right": {**SMALL, "offset": 150}}
    images = every(Source(same, split="test"), "left")
    shifted = Source(apart, split="test")
    np.testing.assert_array_equal(every(shifted, "left"), images)
    np.testing.assert_array_equal(every(shifted, "right"), np.roll(images, -150, axis=0))
    assert digest(read(Source(apart), range(30))) == digest(read(Source(same), range(30)))
    with pytest.raises(ConfigError, match=r"sets.right.offset: expected a number of examples, 0 or more, got -1"):
        Source({"left": SMALL, "right": {**SMALL, "offset": -1}})


def test_partners_are_drawn_anew_for_each_pass_and_labels_go_with_them():
    source = Source(SIDES)
    first, second = (read(source, range(len(source)), epoch) for epoch in (0, 1))
    np.testing.assert_array_equal(first["left"], second["left"])
    assert np.mean(first["right_digit"] == second["right_digit"]) < 0.2
    assert np.mean(first["right_digit"] == first["left_digit"]) < 0.2  # by chance a tenth
    labels = dict(zip(map(bytes, every(Source(SIDES), "left")), first["left_digit"]))
    areas = first["right"].reshape(-1, 8, 2, 8, 2, 1).mean((2, 4))
    nearest = np.array([np.frombuffer(image, np.float32) for image in labels])
    found = [list(labels.values())[np.argmin(((nearest - area.ravel()) ** 2).sum(1))] for area in areas[:100]]
    assert np.mean(np.array(found) == first["right_digit"][:100]) > 0.95
    assert np.any(every(Source(SIDES, seed=1), "right_digit") != first["right_digit"])
    shuffled = read(source, [5, 900], 1)
    np.testing.assert_array_equal(shuffled["right"], second["right"][[5, 900]])


def test_halves_of_a_training_split_share_no_example():
    source = Source(HALVES)
    left, right = identities(every(source, "left")), set()
    for epoch in range(8):
        right |= identities(every(source, "right", epoch))
    assert len(left) == len(source) == 599 and not left & right
    assert len(right) > 590  # of 598
    assert identities(every(Source(HALVES, seed=1), "left")) != left
    held = Source(HALVES, split="test")
    assert len(held) == 400
    np.testing.assert_array_equal(every(held, "left"), every(held, "right"))  # the truth of a translation


def test_a_shorter_set_begins_again():
    sets = {"long": SMALL, "short": {"name": "scenes", "of": "image", "image_size": 16}}
    with pytest.raises(ConfigError, match=r"config\.data\.sets\.short: scenes has no split 'validation'"):
        Source(sets, split="validation")
    held = Source({"long": sets["short"], "short": SMALL}, split="test")
    assert len(held) == 2000  # the scenes
    batch = read(held, [0, 399, 400, 1999])
    np.testing.assert_array_equal(batch["short"][0], batch["short"][2])
    np.testing.assert_array_equal(batch["short_digit"][[1, 2]], batch["short_digit"][[3, 0]])
    assert len(identities(every(held, "short"))) == 400 and len(identities(batch["long"])) == 4
    thirds = Source(THIRDS)
    assert len(thirds) == 1197 and len(identities(every(thirds, "left"))) > 350 and "left/mask" not in read(thirds, [0])


def test_a_fingerprint_tells_data_apart():
    prints = [fingerprint.of(Source(sets, seed=seed)) for sets, seed in ((SIDES, 0), (HALVES, 0), (HALVES, 1))]
    assert len({*prints, fingerprint.of(Source({**SIDES, "left": {**SMALL, "of": "digit"}}))}) == 4
    assert fingerprint.of(Source(dict(SIDES), names=())) == prints[0]


@pytest.mark.parametrize(
    "sets, expected",
    [
        ({"left": SMALL}, "sets: expected at least two data sets, got 1"),
        ({**SIDES, "left": {"name": "digits"}}, r"sets.left: expected a group of fields with name .* and of"),
        (
            {**SIDES, "left": {**SMALL, "of": "text"}},
            "sets.left.of: small_digits has no modality 'text'; it has: image",
        ),
        ({**SIDES, "left": {**SMALL, "part": (2, 2)}}, r"sets.left.part: expected \(k, n\)"),
        ({**SIDES, "left": {**SMALL, "part": (5000, 5001)}}, "sets.left.part: part 5000 of 5001 of .* is empty"),
        ({**SIDES, "left": {**SMALL, "names": ("image",)}}, "sets.left: takes no names"),
        ({**SIDES, "left_digit": SMALL}, "two modalities would be called 'left_digit'"),
    ],
)
def test_sets_that_cannot_be_read_are_refused(sets, expected):
    with pytest.raises(ConfigError, match=expected):
        Source(sets)
    with pytest.raises(ConfigError, match="no modality 'middle'"):
        Source(SIDES, names=("middle",))


def test_a_config_is_checked_and_read_as_any_other(capsys):
    config = tiny.config("dcgan").unlock()
    config.data = {"name": "unpaired", "sets": HALVES}
    config.objective.target = "left"
    config = loading.from_json(loading.to_json(config))
    source = open_source(config, "test")
    assert len(source) == 400
    fields = {key: value for key, value in config.data.items() if key != "name"}
    assert check_data.check_source(Source, fields | {"seed": 0}) == 0
    printed = capsys.readouterr().out
    assert "layout: train: left: 599 examples, 'image' of small_digits" in printed
