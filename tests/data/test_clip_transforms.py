"""Transforms of clips: a part in time, and a transform of pictures for every frame."""

import numpy as np
import pytest

from mmgen_jax import lookup
from mmgen_jax.config import override, schema
from mmgen_jax.config.system import open_source
from mmgen_jax.errors import ConfigError, LookupFailed
from mmgen_jax.modalities.modality import Modality, check_batch

CLIP = np.random.default_rng(0).uniform(-1, 1, (6, 8, 12, 3)).astype(np.float32)
VIDEO = Modality("video", CLIP.shape, frame_rate=8.0)


def built(name, **fields):
    return lookup.build("transforms", {"name": name, **fields})


def apply(transform, seed=0):
    given = transform(CLIP, rng=np.random.default_rng(seed))
    check_batch({"x": given[None]}, {"x": transform.modality(VIDEO)})
    return given


def test_frames_are_a_part_of_the_clip_and_keep_their_rate():
    past, future = built("frames", stop=0.5), built("frames", start=0.5)
    np.testing.assert_array_equal(np.concatenate([apply(past), apply(future)]), CLIP)
    assert past.modality(VIDEO) == Modality("video", (3, 8, 12, 3), frame_rate=8.0)
    np.testing.assert_array_equal(apply(built("frames", start=0.4, stop=0.6)), CLIP[2:4])
    for start in (0.0, 0.5, 0.99):  # a short clip still has a frame in each part
        np.testing.assert_array_equal(len(apply(built("frames", start=start, stop=start + 0.01))), 1)


def test_every_frame_is_transformed_as_a_picture_is():
    small = apply(built("per_frame", transform={"name": "downsample", "factor": 4}))
    picture = built("downsample", factor=4)
    np.testing.assert_array_equal(small, [picture(frame, rng=np.random.default_rng(0)) for frame in CLIP])
    assert built("per_frame", transform={"name": "grey"}).modality(VIDEO).shape == (6, 8, 12, 1)


def test_all_frames_of_a_clip_have_the_same_draws():
    transform = built("per_frame", transform={"name": "noise", "sigma": 5.0})
    still = np.zeros((3, 4, 4, 1), np.float32)
    drawn = [transform(still, rng=np.random.default_rng(seed)) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(drawn[0], np.broadcast_to(drawn[0][0], still.shape))
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert np.abs(drawn[0] - drawn[2]).max() > 0.01


def test_what_does_not_fit_is_refused():
    with pytest.raises(ConfigError, match="frames: expected a start before the stop"):
        built("frames", start=0.5, stop=0.5)
    for transform in (built("frames"), built("per_frame", transform={"name": "grey"})):
        with pytest.raises(ConfigError, match="reads clips, got kind 'image'"):
            transform.modality(Modality("image", (8, 8, 3)))
    with pytest.raises(ConfigError, match=r"downsample.factor: expected a divisor of 8 x 12, got 5"):
        built("per_frame", transform={"name": "downsample", "factor": 5}).modality(VIDEO)
    with pytest.raises(LookupFailed, match="'gray' does not exist"):
        built("per_frame", transform={"name": "gray"})


def test_the_pipeline_derives_past_and_future_of_a_source():
    config = schema.base()
    config.data = {"name": "scenes", "names": ("video",), "image_size": 16, "num_frames": 4, "num_train": 4}
    config.derived = {
        "past": {"name": "frames", "of": "video", "stop": 0.5},
        "future": {"name": "frames", "of": "video", "start": 0.5},
        "small": {"name": "per_frame", "of": "past", "transform": {"name": "downsample", "factor": 2}},
    }
    batch = open_source(config).read(np.arange(2), np.zeros(2, np.int64))
    np.testing.assert_array_equal(np.concatenate([batch["past"], batch["future"]], 1), batch["video"])
    assert batch["small"].shape == (2, 2, 8, 8, 3)
    changed = override.override(config, {"derived.small.transform.factor": 4})
    assert open_source(changed).modalities["small"].shape == (2, 4, 4, 3)
