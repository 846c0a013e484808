"""Errors of clips for each time step: definitions, ranges, and the samplers that need no training."""

import json

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from mmgen_jax import lookup
from mmgen_jax.baselines import base
from mmgen_jax.config import schema
from mmgen_jax.data.transforms.downsample import bicubic
from mmgen_jax.errors import ConfigError, InputError
from mmgen_jax.evaluators.measures import frames
from mmgen_jax.modalities.modality import Modality

RNG = np.random.default_rng(0)
REAL = RNG.uniform(0, 1, (3, 4, 16, 12, 3)).astype(np.float32)
DRAWN = np.clip(REAL + RNG.normal(0, 0.1, REAL.shape), 0, 1).astype(np.float32)
SIGNED = {"video": REAL * 2 - 1}


def evaluator(**fields):
    return lookup.build("evaluators", {"name": "frame_error", **fields}, target="video")


def test_frames_are_measured_as_scikit_image_and_openstl_do():
    measured = frames.measure(DRAWN, REAL)
    assert {values.shape for values in measured.values()} == {(3, 4)}
    clip, t = 1, 2
    drawn, real = DRAWN[clip, t].astype(np.float64), REAL[clip, t].astype(np.float64)
    # OpenSTL: np.mean((pred - true)**2, axis=(0, 1)).sum() of clips [N, T, C, H, W] in [0, 1]
    np.testing.assert_allclose(measured["mse"].mean(), ((DRAWN - REAL) ** 2).mean((0, 1)).sum(), rtol=1e-5)
    np.testing.assert_allclose(measured["mse"][clip, t], ((drawn - real) ** 2).sum())
    np.testing.assert_allclose(measured["mse_of_value"][clip, t], ((drawn - real) ** 2).mean())
    np.testing.assert_allclose(measured["psnr"][clip, t], peak_signal_noise_ratio(real, drawn, data_range=1))
    expected = structural_similarity(
        *(real, drawn), data_range=1, channel_axis=-1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert measured["ssim"][clip, t] == pytest.approx(expected, abs=0.02)  # theirs leaves out another border


@pytest.mark.parametrize("bad", [1.5, -0.1, np.nan])
def test_values_outside_of_the_range_are_refused(bad):
    spoilt = REAL.copy()
    spoilt[1, 2, 3, 4, 0] = bad
    for pair in ((spoilt, REAL), (REAL, spoilt)):
        with pytest.raises(InputError, match=r"expected (samples|real) in \[0, 1\], got"):
            frames.measure(*pair)
    with pytest.raises(InputError, match=r"expected (values in \[-1, 1\]|finite values)"):
        evaluator()(lambda batch: {"video": spoilt * 2 - 1}, [SIGNED])


def test_other_shapes_are_refused():
    for samples in (REAL[:, :3], REAL[:, 0]):
        with pytest.raises(InputError, match="of one shape"):
            frames.measure(samples, REAL)


def test_an_entry_has_each_frame_and_their_number():
    entries = evaluator()(lambda batch: {"video": DRAWN * 2 - 1}, [SIGNED])
    json.dumps(entries, allow_nan=False)
    measured = frames.measure(DRAWN, REAL)
    assert set(entries) == {"mse", "mse_of_value", "psnr", "ssim"}
    for name, entry in entries.items():
        assert entry["n"] == 3 and entry["frames"] == 4
        assert entry["value"] == pytest.approx(measured[name].mean(), rel=1e-4)
        for frame, values in zip(entry["by_frame"], measured[name].T, strict=True):
            assert frame["value"] == pytest.approx(values.mean(), rel=1e-4)
            assert frame["interval"][0] < frame["value"] < frame["interval"][1]


def test_a_copy_is_best_and_the_enlargement_is_measured_beside_it():
    small = np.stack([[bicubic(x, (4, 3)) for x in clip] for clip in SIGNED["video"]])
    entries = evaluator(small="small")(lambda batch: {"video": batch["video"]}, [SIGNED | {"small": small}])
    enlarged = np.stack([[bicubic(x, (16, 12)) for x in clip] for clip in small]) / 2 + 0.5
    assert entries["psnr"]["value"] == 100 and entries["mse"]["value"] == 0
    beside = entries["psnr"]["baselines"]["bicubic"]["value"]
    assert beside == pytest.approx(frames.measure(enlarged, REAL)["psnr"].mean(), rel=1e-4)


def test_what_does_not_fit_is_refused():
    known = {"video": Modality("video", (4, 16, 12, 3)), "still": Modality("image", (16, 12, 3))}
    known["grey"] = Modality("video", (4, 8, 6, 1))
    evaluator().suits(known, ("still",))
    for fields, conditions, expected in (
        ({}, (), "expected a model with conditions"),
        ({"small": "still"}, ("still",), "small: expected a clip, got 'still'"),
        ({"small": "grey"}, ("grey",), "frames and channels of the target .* got 'grey'"),
    ):
        with pytest.raises(ConfigError, match=expected):
            evaluator(**fields).suits(known, conditions)


def next_frames(**changes):
    config = schema.base()
    data = {"name": "scenes", "names": ("video",), "image_size": 16, "num_frames": 4, "num_train": 4, "num_test": 4}
    config.data = data
    config.derived = {
        "past": {"name": "frames", "of": "video", "stop": 0.5},
        "future": {"name": "frames", "of": "video", "start": 0.5},
    }
    config.aligned = ("past",)
    config.update(changes)
    return config


def test_the_last_frame_and_black_in_place_of_the_future():
    past = RNG.uniform(-1, 1, (3, 2, 16, 16, 3)).astype(np.float32)
    config = next_frames()
    copied, black = (base.create(name, config, "future")({"past": past})["future"] for name in ("copy_last", "black"))
    np.testing.assert_array_equal(copied, np.stack([past[:, 1], past[:, 1]], axis=1))
    np.testing.assert_array_equal(black, np.full((3, 2, 16, 16, 3), -1, np.float32))
    batch = {"past": past, "future": past}
    entries = lookup.build("evaluators", {"name": "frame_error"}, target="future")(
        base.create("copy_last", config, "future"), [batch]
    )
    first, last = (frame["value"] for frame in entries["mse"]["by_frame"])
    assert last == 0 < first


def test_baselines_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match=r"copy_last: expected one clip in config.aligned .*, got none"):
        base.create("copy_last", next_frames(aligned=()), "future")
    with pytest.raises(ConfigError, match=r"black: expected a picture or a clip, got motion \(label\)"):
        base.create("black", next_frames(data={"name": "scenes", "names": ("video", "motion")}), "motion")
