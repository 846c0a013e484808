"""The evaluator of restored pictures, and restoration without a model."""

import contextlib
import json

import numpy as np
import pytest
from scipy import ndimage
from skimage import data
from skimage.restoration import richardson_lucy

from mmgen_jax import evaluate, lookup
from mmgen_jax.data.transforms import blur, downsample, noise
from mmgen_jax.errors import ConfigError
from mmgen_jax.evaluators.measures import fidelity, restoration

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def photos():
    """Three real photos of 48 x 40 px, in [-1, 1]."""
    pictures = [x[60:252:4, 100:260:4] for x in (data.chelsea(), data.coffee(), data.astronaut())]
    return (np.stack(pictures) / 127.5 - 1).astype(np.float32)


def degraded(pictures, *transforms):
    for transform in transforms:
        pictures = np.stack([transform(x, rng=np.random.default_rng(i)) for i, x in enumerate(pictures)])
    return pictures.astype(np.float32)


def measured(real, photo, drawn=None, **fields):
    evaluator = lookup.build("evaluators", {"name": "restoration", **fields}, target="image")
    batch = {"image": real, "photo": photo}
    evaluator.check(batch, ("photo",))
    entries = evaluator(lambda batch: {"image": real if drawn is None else drawn}, [batch])
    json.dumps(entries, allow_nan=False)
    return entries


def test_richardson_lucy_in_the_middle_is_scikit_images(photos):
    sigma, size = 1.5, 13
    kernel = np.zeros((size, size))
    kernel[6, 6] = 1
    kernel = ndimage.gaussian_filter(kernel, sigma, mode="constant")  # cut off at 4 sigma, as ours
    blurred = fidelity.unit(degraded(photos, blur.Transform(sigma)))
    ours = restoration.richardson_lucy(blurred, sigma, iterations=5)
    padded = np.pad(blurred[0, :, :, 0], 40, mode="edge")
    theirs = richardson_lucy(padded, kernel, num_iter=5)[40:-40, 40:-40]
    np.testing.assert_allclose(ours[0, :, :, 0], theirs, atol=1e-3)  # the paddings differ in width
    np.testing.assert_allclose(ours[0, 8:-8, 8:-8, 0], theirs[8:-8, 8:-8], atol=1e-5)


def test_richardson_lucy_leaves_a_flat_picture_and_the_border_alone():
    flat = np.full((1, 20, 17, 3), 0.3)
    np.testing.assert_allclose(restoration.richardson_lucy(flat, 1.5), flat, atol=1e-9)


def test_blur_and_noise(photos):
    photo = degraded(photos, blur.Transform(1.5), noise.Transform(2.0))
    derived = {"soft": {"name": "blur", "of": "image", "sigma": 1.5}}
    derived["photo"] = {"name": "noise", "of": "soft", "sigma": 2.0}
    entries = measured(photos, photo, blur=1.5, noise=2.0, derived=derived)
    baselines = entries["psnr"]["baselines"]
    assert list(baselines) == ["degraded", "richardson_lucy"]
    assert baselines["degraded"]["value"] == pytest.approx(fidelity.measure(photo, photos)["psnr"].mean())
    assert baselines["richardson_lucy"]["value"] > baselines["degraded"]["value"] + 1
    steps = ["blur(sigma=1.5)", "noise(sigma=2.0)"]
    assert entries["psnr"]["degradation"] == {"scale": 1, "noise": 2.0, "blur": 1.5, "steps": steps}
    assert entries["psnr"]["value"] == 100 and entries["l1"]["value"] == 0
    assert baselines["degraded"]["difference"][0] <= 100 - baselines["degraded"]["value"]
    assert "richardson_lucy" in evaluate.table(entries)


def test_noise_alone(photos):
    entries = measured(photos, degraded(photos, noise.Transform(25.0)), noise=25.0)
    baselines = {name: baseline["value"] for name, baseline in entries["psnr"]["baselines"].items()}
    assert baselines["non_local_means"] > baselines["degraded"] + 4
    assert baselines["total_variation"] > baselines["degraded"] + 3
    assert entries["psnr"]["baselines"]["non_local_means"]["how"].startswith("scikit-image ")


def test_without_scikit_image_a_baseline_has_the_reason(photos, monkeypatch):
    monkeypatch.setattr(restoration, "LIBRARY", "a_library_that_nobody_has")
    baselines = measured(photos, degraded(photos, noise.Transform(25.0)), noise=25.0)["psnr"]["baselines"]
    for name in ("non_local_means", "total_variation"):
        assert baselines[name]["value"] is None and "scikit-image is not installed" in baselines[name]["why"]
    assert baselines["degraded"]["value"] > 15


@pytest.mark.parametrize("factor", [2, 4])
def test_enlarging_is_pillows_bicubic(photos, factor):
    from PIL import Image

    small = degraded(photos, downsample.Transform(factor))
    entries = measured(photos, small, colour="bt601_y", border=factor)
    enlarged = [
        np.stack([np.asarray(Image.fromarray(c).resize((40, 48), Image.Resampling.BICUBIC)) for c in x], -1)
        for x in np.moveaxis(small, -1, 1)
    ]
    expected = fidelity.measure(np.clip(np.stack(enlarged), -1, 1), photos, "bt601_y", factor)
    for metric in ("psnr", "ssim", "l1"):
        entry = entries[metric]
        assert list(entry["baselines"]) == ["bicubic"] and entry["baselines"]["bicubic"]["how"].startswith("Pillow")
        assert entry["baselines"]["bicubic"]["value"] == pytest.approx(expected[metric].mean(), abs=1e-6)
        assert (entry["degradation"]["scale"], entry["border"], entry["colour"]) == (factor, factor, "bt601_y")


@pytest.mark.parametrize("shape", [(24, 40, 3), (96, 80, 3), (24, 20, 1), (16, 13, 3)])
def test_a_photo_of_another_size_is_refused(photos, shape):
    evaluator = lookup.build("evaluators", {"name": "restoration"}, target="image")
    batch = {"image": photos, "photo": np.zeros((3, *shape), np.float32)}
    with pytest.raises(ConfigError, match=r"restoration\.photo: .*\[48, 40, 3\].* got "):
        evaluator.check(batch, ("photo",))
    with pytest.raises(ConfigError, match=r"restoration\.photo: expected a condition of the model \(text\)"):
        evaluator.check(batch, ("text",))


@pytest.mark.parametrize(
    "sigma, fields, message",
    [
        (10.0, {"noise": 25.0}, r"noise: expected 10\.0, as config\.derived degrades 'photo', got 25\.0"),
        (10.0, {"noise": 10.0, "blur": 1.0}, r"blur: expected 1\.5, as .* got 1\.0"),
        (10.0, {"noise": 10.0, "blur": 1.5}, ""),
        ((5.0, 50.0), {"noise": 25.0, "blur": 1.5}, ""),
    ],
)
def test_baselines_are_told_the_degradation_of_the_data(photos, sigma, fields, message):
    derived = {"soft": {"name": "blur", "of": "image"}, "photo": {"name": "noise", "of": "soft", "sigma": sigma}}
    evaluator = lookup.build("evaluators", {"name": "restoration", **fields}, target="image", derived=derived)
    with pytest.raises(ConfigError, match=message) if message else contextlib.nullcontext():
        evaluator.check({"image": photos, "photo": photos}, ("photo",))


def test_clothing_is_restored_as_well_as_known(mmgen_data):
    source = lookup.build("data", {"name": "clothing", "names": ("image",), "image_size": 64, "split": "test"})
    indices = np.arange(0, len(source), 31)  # 12 photos
    real = source.read(indices, np.zeros_like(indices))["image"]
    blurred = (blur.Transform(1.5), noise.Transform(2.0))
    found = {
        "bicubic 2": measured(real, degraded(real, downsample.Transform(2))),
        "bicubic 4": measured(real, degraded(real, downsample.Transform(4))),
        "non_local_means": measured(real, degraded(real, noise.Transform(25.0)), noise=25.0),
        "degraded": measured(real, degraded(real, *blurred), noise=2.0, blur=1.5),
        "richardson_lucy": measured(real, degraded(real, *blurred), noise=2.0, blur=1.5),
    }
    known = {
        "bicubic 2": 28.03,
        "bicubic 4": 23.41,
        "non_local_means": 28.34,
        "degraded": 24.8,
        "richardson_lucy": 27.6,
    }
    for name, entries in found.items():
        value = entries["psnr"]["baselines"][name.split()[0]]["value"]
        assert value == pytest.approx(known[name], abs=1.0), name
