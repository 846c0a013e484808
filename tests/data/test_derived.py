"""Modalities that the pipeline computes: each transform against its definition, and what its draws depend on."""

import numpy as np
import pytest
import skimage.color
from PIL import Image

from mmgen_jax import lookup
from mmgen_jax.config import override, schema
from mmgen_jax.config.system import open_source
from mmgen_jax.data import derived
from mmgen_jax.data.transforms import mask
from mmgen_jax.data.transforms.downsample import bicubic
from mmgen_jax.modalities.modality import Modality, check_batch

RNG = np.random.default_rng(0)
PICTURE = RNG.uniform(-1, 1, (16, 24, 3)).astype(np.float32)
IMAGE = Modality("image", (16, 24, 3))
FIELDS = {"mask": {"shape": "strokes"}, "jpeg": {"quality": 60}}
# They read clips, sounds or two modalities, and have tests of their own (`test_clip_transforms.py`, …).
OTHERS = ("hole", "frame", "frames", "per_frame", "at_place", "log_mel")


def apply(name, x=PICTURE, rng=0, **fields):
    transform = lookup.build("transforms", {"name": name, **fields})
    given = transform(x, rng=np.random.default_rng(rng))
    check_batch({"x": given[None]}, {"x": transform.modality(Modality("image", x.shape))})
    return given


def test_grey_is_the_luma_of_bt601():
    np.testing.assert_allclose(
        apply("grey")[..., 0] / 2 + 0.5, skimage.color.rgb2ycbcr(PICTURE / 2 + 0.5)[..., 0] / 219 - 16 / 219, atol=2e-4
    )
    np.testing.assert_array_equal(apply("grey", PICTURE[..., :1]), PICTURE[..., :1])


def test_edges_are_the_gradient_of_a_ramp_and_none_where_it_is_flat():
    ramp = np.broadcast_to(np.linspace(-1, 1, 24, dtype=np.float32)[None, :, None], (16, 24, 1))
    inner = apply("edges", ramp, sigma=0.0, full=0.1)[1:-1, 1:-1]
    np.testing.assert_allclose(inner, 2 * (1 / 23) / 0.1 - 1, atol=1e-5)  # 1 / 23 of the range a px
    assert (apply("edges", np.full((16, 24, 3), 0.3, np.float32)) == -1).all()


def test_blur_keeps_the_mean_and_an_impulse_its_place():
    impulse = np.zeros((17, 17, 1), np.float32)
    impulse[8, 8] = 1
    spread = apply("blur", impulse, sigma=1.5)
    np.testing.assert_allclose(spread.sum(), 1, rtol=1e-3)
    np.testing.assert_allclose(spread, spread[::-1, ::-1], atol=1e-6)
    places = np.arange(17) - 8
    np.testing.assert_allclose((spread[..., 0].sum(0) * places**2).sum(), 1.5**2, rtol=0.02)


def test_noise_has_its_deviation_in_grey_levels():
    grey = np.zeros((128, 128, 3), np.float32)
    np.testing.assert_allclose(apply("noise", grey, sigma=25.0).std() * 127.5, 25, rtol=0.02)


def test_downsampling_is_pillows_and_every_nth_pixel():
    small = apply("downsample", factor=4)
    channel = Image.fromarray(PICTURE[..., 1]).resize((6, 4), Image.Resampling.BICUBIC)
    np.testing.assert_allclose(small[..., 1], np.clip(np.asarray(channel), -1, 1), atol=1e-6)
    np.testing.assert_array_equal(apply("downsample", factor=4, antialiased=False), PICTURE[2::4, 2::4])
    with pytest.raises(ValueError, match="expected a divisor of 16 x 24, got 5"):
        apply("downsample", factor=5)
    flat = np.full((8, 8, 3), 0.25, np.float32)
    np.testing.assert_allclose(bicubic(flat, (32, 32)), 0.25, atol=1e-6)


def test_a_range_may_be_a_list():
    np.testing.assert_array_equal(apply("noise", sigma=[5, 40]), apply("noise", sigma=(5.0, 40.0)))


def test_jpeg_loses_more_at_a_lower_quality():
    smooth = apply("blur", sigma=3.0)
    errors = [np.abs(apply("jpeg", smooth, quality=quality) - smooth).mean() for quality in (5, 50, 95)]
    assert errors[0] > errors[1] > errors[2] > 0 and errors[2] < 0.02
    with pytest.raises(ValueError, match=r"jpeg\.quality"):
        apply("jpeg", quality=0)


def test_masks_have_the_sizes_that_are_asked_for():
    rng = np.random.default_rng(0)
    for _ in range(50):
        rows, columns = np.nonzero(mask.box((32, 64), (0.25, 0.5), rng))
        height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert height * width == len(rows) and 8 <= height <= 16 and 16 <= width <= 32
        share = mask.strokes((64, 64), 0.15, rng).mean()
        assert 0.15 <= share < 0.35
    drawn = np.array([apply("mask", rng=seed).mean() for seed in range(8)])
    assert len(set(drawn)) > 4
    with pytest.raises(ValueError, match=r"sides: expected a range \(low, high\), got \(0\.5, 0\.2\)"):
        apply("mask", sides=(0.5, 0.2))


def test_a_hole_is_grey_and_only_there():
    hole = lookup.build("transforms", {"name": "hole"})
    where = np.where(mask.box((16, 24), (0.3, 0.3), RNG), 1, -1).astype(np.float32)[..., None]
    given = hole(PICTURE, where, rng=RNG)
    np.testing.assert_array_equal(given, np.where(where > 0, 0, PICTURE))
    assert hole.modality(IMAGE, Modality("mask", (16, 24, 1))) == IMAGE
    with pytest.raises(ValueError, match=r"expected of=\(picture, mask\) with a mask of \(16, 24\), got nothing"):
        hole.modality(IMAGE)


def config(**entries):
    made = schema.base()
    made.data = {
        "name": "scenes",
        "names": ("image", "text"),
        "image_size": 16,
        "num_train": 8,
        "num_test": 8,
        "seed": 0,
    }
    made.derived = entries
    return made


def test_draws_are_of_the_example_and_in_training_of_seed_and_epoch():
    made = config(photo={"name": "noise", "of": "small"}, small={"name": "downsample", "of": "image"})
    indices = np.array([3, 1, 5])
    train, test = (open_source(made, split) for split in ("train", "test"))
    assert list(train.modalities) == ["image", "text", "small", "photo"] and train.modalities["photo"].shape == (
        8,
        8,
        3,
    )
    first = train.read(indices, np.zeros(3, int))["photo"]
    np.testing.assert_array_equal(first[::-1], train.read(indices[::-1], np.zeros(3, int))["photo"])
    assert not np.array_equal(first, train.read(indices, np.ones(3, int))["photo"])
    held = test.read(indices, np.zeros(3, int))["photo"]
    np.testing.assert_array_equal(held, test.read(indices, np.ones(3, int))["photo"])
    other = override.override(made, {"seed": 7})
    np.testing.assert_array_equal(held, open_source(other, "test").read(indices, np.zeros(3, int))["photo"])
    clean = train.read(indices, np.zeros(3, int))
    residual = first - clean["small"]
    seeded = open_source(other, "train").read(indices, np.zeros(3, int))
    assert not np.allclose(residual, seeded["photo"] - seeded["small"])


def test_a_number_may_become_a_range_by_an_override_and_back():
    made = config(photo={"name": "noise", "of": "image", "sigma": 25.0}, pressed={"name": "jpeg", "of": "image"})
    changes = {"derived.photo.sigma": "(5, 50)", "derived.pressed.quality": "30"}
    changed = override.override(made, changes)
    assert (changed.derived.photo.sigma, changed.derived.pressed.quality) == ((5, 50), 30)
    assert open_source(changed).modalities.keys() >= {"photo", "pressed"}
    back = override.override(changed, {"derived.photo.sigma": "10"})
    assert back.derived.photo.sigma == 10.0
    with pytest.raises(ValueError, match=r"config\.derived\.photo\.sigma: expected a value of type float, got 'wide'"):
        override.override(made, {"derived.photo.sigma": "wide"})


def test_what_is_refused():
    for entries, message in (
        ({"image": {"name": "grey", "of": "image"}}, "image: derived from itself in a circle"),
        ({"grey": {"name": "grey"}}, "of: expected the modality to derive it from"),
        ({"a": {"name": "grey", "of": "b"}, "b": {"name": "grey", "of": "a"}}, "a, b: derived from itself in a circle"),
        ({"grey": {"name": "gray", "of": "image"}}, "did you mean 'grey'"),
        ({"grey": {"name": "grey", "of": "audio"}}, "reads pictures, got kind 'audio'"),
        (
            {"mask": {"name": "mask", "of": "image"}, "soft": {"name": "blur", "of": "mask"}},
            "blur: reads pictures, got kind 'mask'",
        ),
        ({"photo": {"name": "blur", "of": "image", "sigma": (3.0, 1.0)}}, r"blur\.sigma: expected a range"),
        ({"photo": {"name": "noise", "of": "image", "sigma": (3.0, 1.0)}}, r"noise\.sigma: expected a range"),
        ({"photo": {"name": "jpeg", "of": "image", "quality": (50, 10)}}, r"jpeg\.quality: expected a range"),
    ):
        with pytest.raises(ValueError, match=message):
            open_source(config(**entries))
    everything = config(text={"name": "grey", "of": "image"})
    everything.data.names = ()
    with pytest.raises(ValueError, match="the data has a modality of this name"):
        open_source(everything)
    assert derived.roots({"a": {"of": ("b", "mask")}, "b": {"of": "image"}, "mask": {"of": "image"}}, "a") == ("image",)


@pytest.mark.parametrize("name", lookup.available("transforms"))
def test_every_transform_has_a_test(name):
    """And gives nothing of its input away by changing it."""
    before = PICTURE.copy()
    if name not in OTHERS:
        apply(name, **FIELDS.get(name, {}))
    np.testing.assert_array_equal(before, PICTURE)
