"""PSNR and SSIM in each colour space and with each border, against scikit-image and against the published formula."""

import json

import numpy as np
import pytest
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from mmgen_jax import lookup
from mmgen_jax.errors import ConfigError, InputError
from mmgen_jax.evaluators.measures import fidelity

RNG = np.random.default_rng(0)
REAL = RNG.uniform(-1, 1, (3, 24, 30, 3)).astype(np.float32)
DRAWN = np.clip(REAL + RNG.normal(0, 0.2, REAL.shape), -1, 1).astype(np.float32)
SSIM = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}


@pytest.mark.parametrize("border", [0, 4])
@pytest.mark.parametrize("colour", ["rgb", "bt601_y"])
def test_every_variant_is_that_of_scikit_image(colour, border):
    evaluator = lookup.build("evaluators", {"name": "reconstruction", "colour": colour, "border": border}, target="x")
    entries = evaluator(lambda batch: {"x": DRAWN}, [{"x": REAL}])
    expected = {"psnr": [], "ssim": [], "l1": []}
    for pair in zip(DRAWN, REAL):
        a, b = (np.clip(x.astype(np.float64) / 2 + 0.5, 0, 1) for x in pair)
        if colour == "bt601_y":
            a, b = (rgb2ycbcr(x)[..., :1] / 255 for x in (a, b))
        a, b = (x[border : 24 - border, border : 30 - border] for x in (a, b))
        expected["psnr"].append(peak_signal_noise_ratio(b, a, data_range=1.0))
        expected["ssim"].append(structural_similarity(a, b, channel_axis=-1, **SSIM))
        expected["l1"].append(np.abs(a - b).mean())
    for metric, values in expected.items():
        entry = entries[metric]
        assert entry["value"] == pytest.approx(np.mean(values), abs=1e-5), metric
        assert (entry["colour"], entry["border"]) == (colour, border)
        assert entry["range"].startswith("[0, 1]" if colour == "rgb" else "[16 / 255, 235 / 255]")
    json.dumps(entries, allow_nan=False)


def test_the_luma_is_the_formula_of_super_resolution():
    # MATLAB's rgb2ycbcr: Y = 16 + 65.481 R + 128.553 G + 24.966 B of R, G, B in [0, 1], in levels of [0, 255].
    colours = np.array([[0, 0, 0], [1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]], float)
    by_hand = np.array([16, 235, 16 + 65.481, 16 + 128.553, 16 + 24.966])
    np.testing.assert_allclose(255 * fidelity.luma(colours)[:, 0], by_hand, atol=1e-9)
    np.testing.assert_allclose(255 * fidelity.luma(np.array([[0.0], [0.5]])), [[16], [16 + 219 / 2]], atol=1e-9)
    # PSNR of Y in levels of [0, 255], its border left out: 20 log10(255 / rmse).
    a, b = (np.clip(x[:1].astype(np.float64) / 2 + 0.5, 0, 1) for x in (DRAWN, REAL))
    y = [(x @ [65.481, 128.553, 24.966] + 16)[0, 4:-4, 4:-4] for x in (a, b)]
    expected = 20 * np.log10(255 / np.sqrt(np.mean((y[0] - y[1]) ** 2)))
    assert fidelity.measure(DRAWN[:1], REAL[:1], "bt601_y", 4)["psnr"][0] == pytest.approx(expected, abs=1e-5)


def test_a_grey_picture_says_that_it_is_grey():
    entries = lookup.build("evaluators", {"name": "reconstruction"}, target="x")(
        lambda batch: {"x": DRAWN[..., :1]}, [{"x": REAL[..., :1]}]
    )
    assert {entry["colour"] for entry in entries.values()} == {"grey"}
    assert entries["l1"]["value"] < entries["l1"]["baseline"]


def test_values_that_are_not_finite_are_refused():
    with pytest.raises(InputError, match="expected finite values, got 1 of 4 that are not"):
        fidelity.unit(np.array([0.0, np.nan, 1.0, -1.0]))


def test_variants_that_cannot_be_measured_are_refused():
    with pytest.raises(InputError, match=r"a border of 12 px leaves nothing of 24 x 30 px"):
        fidelity.measure(DRAWN, REAL, border=12)
    for name in ("reconstruction", "restoration"):  # said before the training too
        evaluator = lookup.build("evaluators", {"name": name, "border": 12}, target="x")
        with pytest.raises(InputError, match="a border of 12 px leaves nothing"):
            evaluator.check({"x": REAL, "photo": REAL}, ("photo",))
    with pytest.raises(InputError, match=r"luma is of 1 or 3 channels, got 2"):
        fidelity.measure(DRAWN[..., :2], REAL[..., :2], "bt601_y")
    with pytest.raises(ConfigError, match=r"colour: expected one of rgb, bt601_y, got 'ycbcr'"):
        lookup.build("evaluators", {"name": "reconstruction", "colour": "ycbcr"}, target="x")
