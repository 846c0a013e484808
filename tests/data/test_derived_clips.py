"""Modalities derived from clips: parts of a clip, one frame, transforms of pictures frame by frame, a moved picture."""

import numpy as np
import pytest
from tiny import ROOT

from mmgen_jax import lookup
from mmgen_jax.config import schema
from mmgen_jax.config.system import open_source
from mmgen_jax.data import derived
from mmgen_jax.data.transforms import at_place
from mmgen_jax.modalities.modality import Modality, check_batch
from mmgen_jax.results import report

RNG = np.random.default_rng(0)
CLIP = RNG.uniform(-1, 1, (7, 8, 12, 3)).astype(np.float32)
VIDEO = Modality("video", CLIP.shape, frame_rate=8.0)
IMAGE = Modality("image", (8, 12, 3))


def build(name, **fields):
    return lookup.build("transforms", {"name": name, **fields})


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({}, range(7)),
        ({"stop": 4}, range(4)),
        ({"start": 4}, range(4, 7)),
        ({"start": 1, "stop": 6, "step": 2}, (1, 3, 5)),
    ],
)
def test_a_part_of_a_clip(fields, kept):
    part = build("frames", **fields)
    given = part(CLIP, rng=RNG)
    np.testing.assert_array_equal(given, CLIP[list(kept)])
    told = part.modality(VIDEO)
    assert told.shape == given.shape and told.frame_rate == 8.0 / fields.get("step", 1)


def test_one_frame_is_a_picture():
    frame = build("frame", index=6)
    np.testing.assert_array_equal(frame(CLIP, rng=RNG), CLIP[6])
    assert frame.modality(VIDEO) == IMAGE


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"late": {"name": "frame", "of": "video", "index": 7}}, "frame.index: expected a frame from 0 to 6, got 7"),
        ({"late": {"name": "frames", "of": "video", "stop": 8}}, "expected start < stop <= 7, .* stop 8"),
        ({"none": {"name": "frames", "of": "video", "start": 5, "stop": 5}}, "expected start < stop <= 7"),
        ({"part": {"name": "frames", "of": "image"}}, "frames: reads clips, got kind 'image'"),
        ({"mask": {"name": "mask", "of": "video"}}, "derived.mask: expected clips .* got a mask for each frame"),
        ({"at": {"name": "at_place", "of": "image"}}, "expected of=.picture, scene. .* got nothing"),
        ({"at": {"name": "at_place", "of": ("image", "image")}}, "expected a square picture with sides from 16 px"),
    ],
)
def test_what_is_refused(entries, message):
    with pytest.raises(ValueError, match=message):
        derived.Derived(Fake(), derived.build(entries), None)


class Fake:
    """A source of one example."""

    modalities = {"video": VIDEO, "image": IMAGE}

    def read(self, indices, epochs):
        return {"video": CLIP[None], "video/mask": np.array([True]), "image": CLIP[:1]}


def test_a_transform_of_pictures_reads_a_clip_frame_by_frame():
    entries = {
        "small": {"name": "downsample", "of": "video", "factor": 2},
        "grey": {"name": "grey", "of": "small"},
        "noisy": {"name": "noise", "of": "grey", "sigma": 25.0},
    }
    source = derived.Derived(Fake(), derived.build(entries), None)
    assert {name: source.modalities[name].shape for name in entries} == {
        "small": (7, 4, 6, 3),
        "grey": (7, 4, 6, 1),
        "noisy": (7, 4, 6, 1),
    }
    assert source.modalities["noisy"].kind == "video" and source.modalities["noisy"].frame_rate == 8.0
    batch = source.read(np.zeros(1, int), np.zeros(1, int))
    check_batch(batch, source.modalities)
    small = build("downsample", factor=2)
    np.testing.assert_array_equal(batch["small"][0], np.stack([small(frame, rng=RNG) for frame in CLIP]))
    noise = (batch["noisy"] - batch["grey"])[0].reshape(7, -1)
    assert np.abs(np.corrcoef(noise)[np.triu_indices(7, 1)]).max() < 0.7, "each frame has noise of its own"
    again = source.read(np.zeros(1, int), np.ones(1, int))["noisy"]
    np.testing.assert_array_equal(again, batch["noisy"])
    absent = Fake()
    absent.read = lambda *_: {"video": CLIP[None], "video/mask": np.array([False])}
    empty = derived.Derived(absent, derived.build(entries), None).read(np.zeros(1, int), np.zeros(1, int))
    assert not empty["noisy"].any() and not empty["noisy/mask"][0]


def test_a_mask_is_the_same_for_every_frame():
    hole = derived.build({"holed": {"name": "hole", "of": ("video", "mask")}})["holed"]
    of = [VIDEO, Modality("mask", (8, 12, 1))]
    mask = np.where(np.arange(12)[None, :, None] < 3, 1, -1).astype(np.float32) * np.ones((8, 1, 1), np.float32)
    assert hole.modality("holed", of) == VIDEO
    given = hole([CLIP, mask], of, RNG)
    assert not given[:, :, :3].any()
    np.testing.assert_array_equal(given[:, :, 3:], CLIP[:, :, 3:])


def blob(size, row, column):
    picture = np.full((size, size, 1), -1, np.float32)
    picture[row - 1 : row + 2, column - 1 : column + 2] = 1
    return picture


@pytest.mark.parametrize(("row", "column"), [(8, 20), (15, 15), (1, 30)])
def test_a_picture_is_drawn_where_the_object_is(row, column):
    reference = np.repeat(np.repeat(blob(14, 6, 6), 2, 0), 2, 1)  # 28 px, no ink in the last rows
    given = build("at_place", side=14)(reference, blob(32, row, column), rng=RNG)
    np.testing.assert_array_equal(given, blob(32, row, column))


def test_at_place_keeps_the_ink_and_a_black_scene_has_its_place_in_the_middle():
    reference = RNG.uniform(-1, 1, (28, 28, 1)).astype(np.float32)
    small = at_place.reduced(reference, 14)
    np.testing.assert_allclose(small, reference.reshape(14, 2, 14, 2, 1).mean((1, 3)), atol=1e-6)
    given = build("at_place", side=14)(reference, np.full((32, 32, 1), -1, np.float32), rng=RNG)
    np.testing.assert_allclose((given + 1).sum(), (small + 1).sum(), rtol=1e-5)
    np.testing.assert_allclose(at_place.centre(given), (15.5, 15.5), atol=0.5)


def test_parts_of_scenes_and_the_kind_of_a_frame_in_the_matrix():
    config = schema.base()
    config.data = {"name": "scenes", "names": ("video",), "image_size": 16, "num_frames": 5, "num_train": 8, "seed": 0}
    config.derived = {
        "past": {"name": "frames", "of": "video", "stop": 4},
        "still": {"name": "frame", "of": "video", "index": 4},
    }
    config.aligned = ("past",)
    config.objective = {"name": "regression", "target": "still"}
    batch = open_source(config).read(np.arange(2), np.zeros(2, int))
    np.testing.assert_array_equal(np.concatenate([batch["past"], batch["still"][:, None]], 1), batch["video"])
    assert report.task_of(config, report.kinds(ROOT))[0] == report.Task(("video",), ("image",))
