"""Image features against scikit-image and numpy."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage
from skimage import color, filters

from mmgen_jax.networks.features.image import colour_histogram, edge_histogram, edges, hsv, sobel, texture_energies


def pictures(height: int = 24, width: int = 32, channels: int = 3) -> np.ndarray:
    """[3, H, W, C]: smooth noise, 8-bit noise with equal channels in places, and a flat picture."""
    generator = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(generator.uniform(-3, 3, (height, width, channels)), (2, 2, 0)).clip(-1, 1)
    levels = generator.integers(0, 4, (height, width, channels)) * 85 / 127.5 - 1
    return np.stack([smooth, levels, np.full_like(smooth, 0.2)]).astype(np.float32)


def as_reference(image: np.ndarray) -> np.ndarray:
    return (image.astype(np.float64) + 1) / 2


def close(ours, reference, relative=1e-4):
    np.testing.assert_allclose(ours, reference, rtol=relative, atol=relative * np.abs(reference).max())


def test_hsv_equals_scikit_image():
    images = pictures()
    close(jax.jit(hsv)(images), np.stack([color.rgb2hsv(as_reference(i)) for i in images]))


@pytest.mark.parametrize("grid", [1, 4])
def test_hard_colour_histogram_equals_numpy(grid):
    images = pictures()
    histogram = jax.jit(colour_histogram, static_argnames=("bins", "grid"))(images, bins=(8, 4, 2), grid=grid)
    assert histogram.shape == (3, grid**2, 64)
    planes = np.asarray(hsv(images))
    high, wide = 24 // grid, 32 // grid
    for b in range(3):
        for cell in range(grid**2):
            row, column = divmod(cell, grid)
            pixels = planes[b, row * high : (row + 1) * high, column * wide : (column + 1) * wide].reshape(-1, 3)
            counts, _ = np.histogramdd(pixels, (8, 4, 2), [(0, 1)] * 3)
            np.testing.assert_allclose(histogram[b, cell], counts.ravel() / (high * wide), atol=1e-6)


def test_soft_colour_histogram_sums_to_one_wraps_hue_and_has_a_gradient():
    images = jnp.asarray(pictures())
    soft = jax.jit(lambda x: colour_histogram(x, soft=True))
    np.testing.assert_allclose(soft(images).sum(-1), 1.0, rtol=1e-5)
    red = jnp.stack([jnp.array([1.0, -1 + d, -1 + e]) for d, e in ((0.01, 0.0), (0.0, 0.01))])[:, None, None]
    either_side = soft(red)  # hue just above 0 and just below 1
    np.testing.assert_allclose(either_side[0], either_side[1], atol=0.02)
    gradient = jax.jit(jax.grad(lambda x: soft(x)[..., 0].sum()))(images)
    assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0


@pytest.mark.parametrize("channels", [1, 3])
def test_sobel_equals_scikit_image(channels):
    images = pictures(channels=channels)
    down, right = sobel(images)
    magnitude, direction = edges(images)
    for i, image in enumerate(as_reference(images)):
        grey = color.rgb2gray(image) if channels == 3 else image[..., 0]
        np.testing.assert_allclose(down[i], filters.sobel_h(grey), atol=1e-6)
        np.testing.assert_allclose(right[i], filters.sobel_v(grey), atol=1e-6)
        np.testing.assert_allclose(magnitude[i], filters.sobel(grey), atol=1e-6)
    close(direction[0], np.arctan2(down[0], right[0]))


def test_gradients_of_edges_of_a_flat_picture_are_0():
    flat = jnp.full((2, 8, 8, 3), 0.3)
    for measured in (lambda x: edges(x)[0].sum(), lambda x: edges(x)[1].sum()):
        np.testing.assert_array_equal(jax.grad(measured)(flat), 0)
    assert (edges(flat)[1] == 0).all()


def test_edge_histogram_equals_numpy():
    images = pictures()[:2]
    bins, grid = 8, 2
    histogram = jax.jit(lambda x: edge_histogram(x, bins, grid))(images)
    assert histogram.shape == (2, 4, 8)
    for i, image in enumerate(as_reference(images)):
        grey = color.rgb2gray(image)
        magnitude = filters.sobel(grey)
        angle = np.arctan2(filters.sobel_h(grey), filters.sobel_v(grey))
        angle = (angle + np.pi / (2 * bins)) % np.pi  # bins are centred on multiples of 180° / bins
        for cell in range(4):
            part = np.s_[cell // 2 * 12 : cell // 2 * 12 + 12, cell % 2 * 16 : cell % 2 * 16 + 16]
            sums, _ = np.histogram(angle[part], bins, (0, np.pi), weights=magnitude[part])
            close(histogram[i, cell], sums / (12 * 16))


@pytest.mark.parametrize("flipped", [False, True])
def test_a_straight_edge_fills_one_bin(flipped):
    step = jnp.where(jnp.arange(16) < 8, -1.0, 1.0) * (-1 if flipped else 1)
    for image, expected in ((step[None, None, :, None], 0), (step[None, :, None, None], 4)):
        histogram = edge_histogram(jnp.broadcast_to(image, (1, 16, 16, 1)), bins=8, grid=1)[0, 0]
        assert int(histogram.argmax()) == expected
        np.testing.assert_allclose(histogram[expected], histogram.sum(), rtol=1e-6)


def test_texture_energies_equal_scikit_image():
    images = pictures()
    frequencies, orientations, grid = (0.1, 0.25), 4, 2
    energies = jax.jit(lambda x: texture_energies(x, frequencies, orientations, grid))(images)
    assert energies.shape == (3, 4, 16)
    for i, image in enumerate(as_reference(images)):
        responses = [
            np.square(filters.gabor(color.rgb2gray(image), f, np.pi * k / orientations)).sum(0)
            for f in frequencies
            for k in range(orientations)
        ]
        whole = np.stack(responses, -1)
        for cell in range(4):
            part = whole[cell // 2 * 12 : cell // 2 * 12 + 12, cell % 2 * 16 : cell % 2 * 16 + 16].reshape(-1, 8)
            close(energies[i, cell], np.concatenate([part.mean(0), part.std(0)]))


@pytest.mark.parametrize("feature", [lambda x: colour_histogram(x, soft=True), edge_histogram, texture_energies])
def test_gradients_are_finite_also_on_a_flat_picture(feature):
    gradient = jax.jit(jax.grad(lambda x: feature(x).sum()))(jnp.asarray(pictures()))
    assert np.isfinite(gradient).all()


def test_frames_of_a_video_are_images():
    video = jnp.asarray(pictures())[None]  # [1, T, H, W, C]
    for feature in (colour_histogram, edge_histogram, texture_energies):
        jitted = jax.jit(feature)
        np.testing.assert_allclose(jitted(video)[0], jitted(video[0]), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "wrong, part",
    [
        (lambda: colour_histogram(jnp.zeros((1, 8, 8, 1))), "3 channels"),
        (lambda: edge_histogram(jnp.zeros((1, 8, 8, 4))), "1 or 3 channels"),
        (lambda: edge_histogram(jnp.zeros((1, 9, 8, 3))), "divides the image's 9 × 8"),
    ],
)
def test_wrong_images_are_refused_in_one_line(wrong, part):
    with pytest.raises(ValueError, match=part) as error:
        wrong()
    assert "\n" not in str(error.value)
