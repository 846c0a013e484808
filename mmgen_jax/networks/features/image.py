"""Colour, edge and texture features of images `[..., H, W, C]` in [-1, 1], in JAX (jit, vmap and grad work).

`colour_histogram`, `edge_histogram` and `texture_energies` return `[..., cells, D]`: D features for each cell of a
`grid` × `grid` partition of the image, in row-major order; a `grid` of 1 describes the whole image. Conventions are
scikit-image's: HSV in [0, 1], Rec. 709 luminance, Sobel and Gabor filters with the image mirrored at its border.
"""

from __future__ import annotations

import functools
import math
from typing import cast

import dm_pix as pix
import jax
import jax.numpy as jnp
import numpy as np

from mmgen_jax.errors import InputError

LUMINANCE = (0.2125, 0.7154, 0.0721)  # weights of linear red, green and blue


def hsv(image: jax.Array) -> jax.Array:
    """Hue, saturation and value in [0, 1], `[..., H, W, 3]`."""
    if image.shape[-1] != 3:
        raise InputError(f"hsv: expected images with 3 channels, got shape {image.shape}; grey images have no colour")
    return cast(jax.Array, pix.rgb_to_hsv((image.astype(jnp.float32) + 1.0) / 2.0))


def luminance(image: jax.Array) -> jax.Array:
    """Brightness in [0, 1], `[..., H, W]`, of images with 1 or 3 channels."""
    image = (image.astype(jnp.float32) + 1.0) / 2.0
    if image.shape[-1] == 1:
        return image[..., 0]
    if image.shape[-1] != 3:
        raise InputError(f"luminance: expected images with 1 or 3 channels, got shape {image.shape}")
    return cast(jax.Array, sum(weight * image[..., c] for c, weight in enumerate(LUMINANCE)))


def colour_histogram(
    image: jax.Array, bins: tuple[int, int, int] = (8, 4, 4), grid: int = 1, soft: bool = False
) -> jax.Array:
    """Joint HSV histogram, `[..., cells, prod(bins)]`; the bins of a cell sum to 1, and hue is the slowest axis.

    Hard bins are those of `numpy.histogramdd` over [0, 1]³ and have no gradient. Soft bins have a gradient: each value
    is shared linearly between the two bins with the nearest centres, and hue wraps around.
    """
    channels = cells(hsv(image), grid)
    assign = _share if soft else _one_hot
    hue, saturation, value = (assign(channels[..., c], bins[c], circular=c == 0) for c in range(3))
    colour = (saturation[..., :, None] * value[..., None, :]).reshape(*value.shape[:-1], bins[1] * bins[2])
    counts = jnp.einsum("...ph,...pc->...hc", hue, colour)
    return counts.reshape(*counts.shape[:-2], math.prod(bins)) / channels.shape[-2]


def sobel(image: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Luminance gradient down and to the right, each `[..., H, W]`: scikit-image's `sobel_h` and `sobel_v`."""
    grey = luminance(image)
    padded = jnp.pad(grey, [(0, 0)] * (grey.ndim - 2) + [(1, 1), (1, 1)], mode="symmetric")
    above, below = padded[..., :-2, :], padded[..., 2:, :]
    left, right = padded[..., :-2], padded[..., 2:]
    down, across = below - above, right - left
    return (
        (down[..., :-2] + 2.0 * down[..., 1:-1] + down[..., 2:]) / 4.0,
        (across[..., :-2, :] + 2.0 * across[..., 1:-1, :] + across[..., 2:, :]) / 4.0,
    )


def edges(image: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Sobel magnitude (scikit-image's `sobel`) and direction in (-π, π], 0 is to the right, each `[..., H, W]`.

    Where the picture is flat, both are 0, and so are their gradients.
    """
    down, right = sobel(image)
    flat = (down == 0) & (right == 0)
    return _sqrt((down**2 + right**2) / 2.0), jnp.where(flat, 0.0, jnp.arctan2(down, jnp.where(flat, 1.0, right)))


def edge_histogram(image: jax.Array, bins: int = 8, grid: int = 4) -> jax.Array:
    """Mean edge magnitude per pixel by orientation, `[..., cells, bins]`.

    The orientation of an edge is its gradient's direction modulo 180°. Bin k is centred on k · 180° / bins, so that
    vertical and horizontal edges (with 4 or 8 bins also diagonal edges) lie at a bin's centre.
    """
    magnitude, direction = edges(image)
    orientation = jnp.round(direction * (bins / jnp.pi)).astype(jnp.int32) % bins
    weighted = magnitude[..., None] * jax.nn.one_hot(orientation, bins)
    return cells(weighted, grid).mean(axis=-2)


def texture_energies(
    image: jax.Array, frequencies: tuple[float, ...] = (0.1, 0.2, 0.4), orientations: int = 4, grid: int = 4
) -> jax.Array:
    """Means, then standard deviations, of the squared modulus of Gabor responses, `[..., cells, 2 · F · orientations]`.

    `frequencies` are F numbers in cycles per pixel, at most 0.5; orientation k is k · 180° / orientations. The filters
    are those of scikit-image's `gabor_kernel` at its default bandwidth of one octave.
    """
    bank = [(f, math.pi * k / orientations) for f in frequencies for k in range(orientations)]
    energy = cells(gabor_energy(image, bank), grid)
    mean = energy.mean(axis=-2)
    deviation = _sqrt(jnp.square(energy - mean[..., None, :]).mean(axis=-2))
    return jnp.concatenate([mean, deviation], axis=-1)


def gabor_energy(image: jax.Array, bank: list[tuple[float, float]]) -> jax.Array:
    """Squared modulus of the luminance's response to each (frequency, angle) of `bank`, `[..., H, W, len(bank)]`.

    A Gabor filter with a circular envelope is separable. The convolution, with the image mirrored at its border, is
    therefore the product of three matrices, rows · luminance · columnsᵀ. The complex product is computed in real and
    imaginary parts.
    """
    grey = luminance(image)
    height, width = grey.shape[-2:]
    rows = np.stack([_gabor_matrix(height, f, math.sin(angle), math.cos(angle)) for f, angle in bank])
    columns = np.stack([_gabor_matrix(width, f, math.cos(angle), math.sin(angle)) for f, angle in bank])
    product = functools.partial(jnp.einsum, precision="highest")
    across = [product("...hw,fvw->...fhv", grey, part) for part in (np.real(columns), np.imag(columns))]
    (rr, ri), (ir, ii) = (
        [product("fuh,...fhv->...uvf", part, half) for half in across] for part in (np.real(rows), np.imag(rows))
    )
    return jnp.square(rr - ii) + jnp.square(ri + ir)


def cells(pixels: jax.Array, grid: int) -> jax.Array:
    """`[..., H, W, D]` cut into `grid` × `grid` equal cells: `[..., grid², pixels of a cell, D]`, cells row-major."""
    *lead, height, width, depth = pixels.shape
    if height % grid or width % grid:
        raise InputError(f"cells: expected a grid that divides the image's {height} × {width} pixels, got {grid}")
    split = pixels.reshape(*lead, grid, height // grid, grid, width // grid, depth)
    return jnp.moveaxis(split, -4, -3).reshape(*lead, grid**2, -1, depth)


def _one_hot(x: jax.Array, bins: int, circular: bool) -> jax.Array:
    """One-hot `[..., bins]`: the bin of each value in [0, 1]; the value 1 belongs to the last bin."""
    return jax.nn.one_hot(jnp.clip((x * bins).astype(jnp.int32), 0, bins - 1), bins)


def _share(x: jax.Array, bins: int, circular: bool) -> jax.Array:
    """`[..., bins]`: the linear shares of each value in the two bins with the nearest centres."""
    position = x * bins - 0.5  # in bins; 0 is the centre of the first bin
    if not circular:
        position = jnp.clip(position, 0.0, bins - 1.0)
    distance = jnp.abs(position[..., None] - np.arange(bins))
    if circular:
        distance = jnp.minimum(distance, bins - distance)
    return jnp.maximum(1.0 - distance, 0.0)


@functools.lru_cache(maxsize=256)
def _gabor_matrix(size: int, frequency: float, along: float, across: float) -> np.ndarray:
    """`[size, size]` complex: one axis of a Gabor filter, as the matrix that convolves a signal mirrored at its ends.

    `along` and `across` are the components of the filter's direction on this axis and on the other axis.
    """
    sigma = 3.0 * math.sqrt(math.log(2.0) / 2.0) / (math.pi * frequency)  # bandwidth of one octave: (2 + 1) / (2 - 1)
    radius = math.ceil(max(3.0 * sigma * max(abs(along), abs(across)), 1.0))
    offset = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (offset / sigma) ** 2 + 2j * np.pi * frequency * along * offset)
    kernel /= math.sqrt(2.0 * np.pi) * sigma
    source = (np.arange(size)[:, None] - offset) % (2 * size)
    source = np.where(source < size, source, 2 * size - 1 - source)
    matrix = np.zeros((size, size), np.complex128)
    np.add.at(matrix, (np.arange(size)[:, None], source), kernel)
    return matrix.astype(np.complex64)


def _sqrt(x: jax.Array) -> jax.Array:
    """Square root with gradient 0, not infinity, at 0."""
    return jnp.where(x > 0, jnp.sqrt(jnp.where(x > 0, x, 1.0)), 0.0)
