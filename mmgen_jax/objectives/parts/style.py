"""The style of a picture: statistics of its features over all positions (Gatys et al., 2016; Huang & Belongie, 2017).

Features are `[B, H, W, C]`. All statistics are means over positions: a picture and its repetition have the same style.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

EPSILON = 1e-5  # added to a variance: the variance of a flat picture is 0, where the square root has no finite gradient


def moments(features: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mean and standard deviation over positions, each `[B, 1, 1, C]` float32."""
    features = features.astype(jnp.float32)
    mean = jnp.mean(features, axis=(1, 2), keepdims=True)
    variance = jnp.mean((features - mean) ** 2, axis=(1, 2), keepdims=True)
    return mean, jnp.sqrt(variance + EPSILON)


def gram(features: jax.Array) -> jax.Array:
    """Gram matrices `[B, C, C]`: the mean over positions of the product of every two channels."""
    flat = features.astype(jnp.float32).reshape(features.shape[0], -1, features.shape[-1])
    return jnp.einsum("bnc,bnd->bcd", flat, flat) / flat.shape[1]


def adain(content: jax.Array, style: jax.Array, whole: jax.Array | None = None) -> jax.Array:
    """The content's features with the mean and the standard deviation of the style's, for each channel.

    Adaptive instance normalisation, equation 8 of Huang & Belongie; content and style may have different grids.

    Args:
      whole: features whose mean and deviation take the place of the content's, where the content is a tile of them.
    """
    (mean, deviation), (style_mean, style_deviation) = moments(content if whole is None else whole), moments(style)
    return (content - mean) / deviation * style_deviation + style_mean


def recoloured(photo: jax.Array, style: jax.Array, whole: jax.Array | None = None) -> jax.Array:
    """AdaIN of the pixels, pictures in [-1, 1]: each colour channel gets the style's mean and standard deviation."""
    return jnp.clip(adain(photo, style, whole), -1, 1)


def moments_distance(one: jax.Array, other: jax.Array) -> jax.Array:
    """`[B]`: squared differences of means and of standard deviations, averaged over channels."""
    pairs = zip(moments(one), moments(other))
    return jnp.sum(jnp.stack([jnp.mean((a - b) ** 2, axis=(1, 2, 3)) for a, b in pairs]), axis=0)


def gram_distance(one: jax.Array, other: jax.Array) -> jax.Array:
    """`[B]`: the squared Frobenius norm of the Gram matrices' difference, divided by the squared norm of `other`'s.

    The quotient makes layers comparable, whatever the size of their activations.
    """
    a, b = gram(one), gram(other)
    return jnp.sum((a - b) ** 2, axis=(1, 2)) / (jnp.sum(b**2, axis=(1, 2)) + EPSILON)


def roughness(pictures: jax.Array) -> jax.Array:
    """`[B]`: the mean squared difference of neighbouring pixels of `[B, H, W, C]`, a squared total variation."""
    steps = (pictures[:, 1:] - pictures[:, :-1], pictures[:, :, 1:] - pictures[:, :, :-1])
    return jnp.sum(jnp.stack([jnp.mean(step**2, axis=(1, 2, 3)) for step in steps]), axis=0)


DISTANCES: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {"moments": moments_distance, "gram": gram_distance}


def style_loss(one: Sequence[jax.Array], other: Sequence[jax.Array], kind: str = "moments") -> jax.Array:
    """`[B]`: the distance of the styles, averaged over the grids of features; `kind` is one of DISTANCES."""
    return jnp.mean(jnp.stack([DISTANCES[kind](a, b) for a, b in zip(one, other, strict=True)]), axis=0)


def content_loss(one: jax.Array, other: jax.Array) -> jax.Array:
    """`[B]`: the mean squared difference of features at the same positions, divided by the mean square of `other`."""
    error = jnp.mean((one - other).astype(jnp.float32) ** 2, axis=(1, 2, 3))
    return error / (jnp.mean(other.astype(jnp.float32) ** 2, axis=(1, 2, 3)) + EPSILON)
