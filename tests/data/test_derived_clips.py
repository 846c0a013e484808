"""A frame of a clip, and a picture at the place of another: each against its definition."""

import numpy as np
import pytest
from tiny import ROOT

from mmgen_jax import lookup
from mmgen_jax.config import schema
from mmgen_jax.config.system import open_source
from mmgen_jax.data.transforms import at_place
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.results import report

RNG = np.random.default_rng(0)
CLIP = RNG.uniform(-1, 1, (7, 8, 12, 3)).astype(np.float32)
VIDEO = Modality("video", CLIP.shape, frame_rate=8.0)
IMAGE = Modality("image", (8, 12, 3))


def build(name, **fields):
    return lookup.build("transforms", {"name": name, **fields})


@pytest.mark.parametrize(("at", "index"), [(0.0, 0), (0.5, 3), (0.9, 6), (1.0, 6)])
def test_one_frame_is_a_picture(at, index):
    frame = build("frame", at=at)
    np.testing.assert_array_equal(frame(CLIP, rng=RNG), CLIP[index])
    assert frame.modality(VIDEO) == IMAGE
    with pytest.raises(ValueError, match="frame: reads clips, got kind 'image'"):
        frame.modality(IMAGE)


def test_frames_may_have_draws_of_their_own():
    noise = build("per_frame", transform={"name": "noise", "sigma": 25.0}, same_draws=False)
    drawn = noise(np.zeros_like(CLIP), rng=np.random.default_rng(0)).reshape(7, -1)
    assert np.abs(np.corrcoef(drawn)[np.triu_indices(7, 1)]).max() < 0.3
    again = noise(np.zeros_like(CLIP), rng=np.random.default_rng(0)).reshape(7, -1)
    np.testing.assert_array_equal(drawn, again)


@pytest.mark.parametrize(
    ("scene", "message"),
    [
        (None, r"expected of=\(picture, scene\) with a scene of 3 channels, got nothing"),
        (Modality("image", (8, 12, 1)), r"with a scene of 3 channels, got image \(8, 12, 1\)"),
        (IMAGE, "side: expected a square picture with sides from 16 px"),
    ],
)
def test_what_has_no_place_is_refused(scene, message):
    with pytest.raises(ValueError, match=message):
        build("at_place").modality(IMAGE, *filter(None, [scene]))


def blob(size, row, column):
    picture = np.full((size, size, 1), -1, np.float32)
    picture[row - 1 : row + 2, column - 1 : column + 2] = 1
    return picture


@pytest.mark.parametrize(("row", "column"), [(8, 20), (15, 15), (1, 30)])
def test_a_picture_is_drawn_where_the_object_is(row, column):
    reference = np.repeat(np.repeat(blob(14, 6, 6), 2, 0), 2, 1)  # 28 px, no ink in the last rows
    given = build("at_place", side=14)(reference, blob(32, row, column), rng=RNG)
    np.testing.assert_array_equal(given, blob(32, row, column))


@pytest.mark.parametrize(("row", "column", "corner"), [(8, 20, (0, 16)), (15, 15, (8, 8)), (1, 30, (0, 16))])
def test_a_picture_is_drawn_in_the_nearest_cells(row, column, corner):
    picture = RNG.uniform(0, 1, (16, 16, 1)).astype(np.float32)  # its centre of ink is near the middle
    given = build("at_place", side=16, cell=8)(picture, blob(32, row, column), rng=RNG)
    top, left = corner
    np.testing.assert_array_equal(given[top : top + 16, left : left + 16], picture)
    given[top : top + 16, left : left + 16] = -1
    assert (given == -1).all()


def test_at_place_keeps_the_ink_and_a_black_scene_has_its_place_in_the_middle():
    reference = RNG.uniform(-1, 1, (28, 28, 1)).astype(np.float32)
    small = at_place.reduced(reference, 14)
    np.testing.assert_allclose(small, reference.reshape(14, 2, 14, 2, 1).mean((1, 3)), atol=1e-6)
    given = build("at_place", side=14)(reference, np.full((32, 32, 1), -1, np.float32), rng=RNG)
    np.testing.assert_allclose((given + 1).sum(), (small + 1).sum(), rtol=1e-5)
    np.testing.assert_allclose(at_place.centre(given), (15.5, 15.5), atol=0.5)


def test_a_target_counts_as_what_it_is_and_an_input_as_what_it_is_a_part_of():
    """In the matrix of the README: from a clip and a frame of the same clip to a picture."""
    config = schema.base()
    config.data = {"name": "scenes", "names": ("video",), "image_size": 16, "num_frames": 4, "num_train": 8, "seed": 0}
    config.derived = {
        "past": {"name": "frames", "of": "video", "stop": 0.75},
        "first": {"name": "frame", "of": "past", "at": 0.0},
        "still": {"name": "frame", "of": "video", "at": 1.0},
    }
    config.aligned = ("past", "first")
    config.objective = {"name": "regression", "target": "still"}
    batch = open_source(config).read(np.arange(2), np.zeros(2, int))
    np.testing.assert_array_equal(np.concatenate([batch["past"], batch["still"][:, None]], 1), batch["video"])
    np.testing.assert_array_equal(batch["first"], batch["video"][:, 0])
    assert report.tasks_of(config, report.documented_kinds(ROOT)) == {(report.Task(("video",), "image"), "regression")}
