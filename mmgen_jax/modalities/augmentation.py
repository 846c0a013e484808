"""Augmentation of one example, in JAX. The random numbers depend on (key, operation), see `training/augment.py`.

`settings` is `{operation: strength}`; the docstring of each kind describes its operations (`image.py`, …).
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Mapping
from typing import Any

import dm_pix
import jax
import jax.numpy as jnp
import numpy as np

from mmgen_jax.modalities.tokenizer import END, PADDING, UNKNOWN

pix: Any = dm_pix  # dm_pix is annotated with types of chex, which are wider than jax.Array

# The number of an operation, which is folded into the key: its place in this list, else a checksum of its name.
ORDER = (
    *("flip", "rotate", "crop", "brightness", "contrast", "saturation", "hue", "cutout", "reverse"),
    *("shift", "gain", "noise", "drop", "unknown", "synonym", "choice", "zoom"),
)


def key_of(key: jax.Array, operation: str) -> jax.Array:
    """The key of one operation."""
    number = ORDER.index(operation) if operation in ORDER else zlib.crc32(operation.encode())
    return jax.random.fold_in(key, number)


def draw(key: jax.Array, operation: str, shape: tuple[int, ...] = ()) -> jax.Array:
    """Random numbers of an operation, uniform in [0, 1)."""
    return jax.random.uniform(key_of(key, operation), shape)


def either_way(key: jax.Array, operation: str, strength: float) -> jax.Array:
    """A random number of an operation, uniform in [-strength, strength)."""
    return strength * (2.0 * draw(key, operation) - 1.0)


def pictures(frames: jax.Array, settings: Mapping[str, Any], key: jax.Array) -> jax.Array:
    """An augmented clip `[T, H, W, C]` in [-1, 1]; all frames are changed alike. An image is a clip with T = 1."""
    strength = {operation: settings.get(operation, 0) for operation in ORDER}
    if strength["reverse"]:
        frames = jnp.where(draw(key, "reverse") < strength["reverse"], frames[::-1], frames)
    if strength["flip"]:
        frames = jnp.where(draw(key, "flip") < strength["flip"], frames[:, :, ::-1], frames)
    if strength["rotate"] or strength["zoom"]:
        angle = jnp.deg2rad(either_way(key, "rotate", strength["rotate"]))
        frames = rotate(frames, angle, zooms(key, strength["zoom"]) if strength["zoom"] else None)
    if padding := int(strength["crop"]):
        start = jnp.floor(draw(key, "crop", (2,)) * (2 * padding + 1)).astype(jnp.int32)
        padded = jnp.pad(frames, [(0, 0), (padding, padding), (padding, padding), (0, 0)], mode="edge")
        frames = jax.lax.dynamic_slice(padded, (0, start[0], start[1], 0), frames.shape)
    if any(strength[operation] for operation in ("brightness", "contrast", "saturation", "hue")):
        frames = _recolour((frames + 1.0) / 2.0, key, strength) * 2.0 - 1.0
    if side := int(strength["cutout"]):
        inside = []
        for size, u in zip(frames.shape[1:3], draw(key, "cutout", (2,))):
            offset = jnp.arange(size) - jnp.floor(u * (size - side + 1))
            inside.append((offset >= 0) & (offset < side))
        frames = jnp.where((inside[0][:, None] & inside[1])[:, :, None], 0.0, frames)
    return frames


def _recolour(frames: jax.Array, key: jax.Array, strength: dict[str, float]) -> jax.Array:
    """Brightness, contrast, saturation and hue of `[T, H, W, C]` in [0, 1]."""
    if strength["brightness"]:
        frames = pix.adjust_brightness(frames, either_way(key, "brightness", strength["brightness"]))
    if strength["contrast"]:
        frames = pix.adjust_contrast(frames, 1.0 + either_way(key, "contrast", strength["contrast"]))
    frames = jnp.clip(frames, 0.0, 1.0)  # hue and saturation are defined in [0, 1] only
    if strength["saturation"]:
        frames = pix.adjust_saturation(frames, 1.0 + either_way(key, "saturation", strength["saturation"]))
    if strength["hue"]:
        frames = pix.adjust_hue(frames, either_way(key, "hue", strength["hue"]))
    return jnp.clip(frames, 0.0, 1.0)


def zooms(key: jax.Array, strength: float) -> jax.Array:
    """`[2]`, the factors of height and width, each uniform in [1 - strength, 1 + strength)."""
    return 1.0 + strength * (2.0 * draw(key, "zoom", (2,)) - 1.0)


def rotate(frames: jax.Array, angle: jax.Array, zoom: jax.Array | None = None) -> jax.Array:
    """`[T, H, W, C]` turned counter-clockwise by `angle` radians about the centre; bilinear, border repeated.

    After the turn, `zoom [2]` enlarges the height and the width by its two factors; one resampling does both.
    """
    y, x = ((jnp.arange(size) - (size - 1) / 2.0) for size in frames.shape[1:3])
    if zoom is not None:
        y, x = y / zoom[0], x / zoom[1]
    y, x = y[:, None], x[None, :]
    source = (
        jnp.cos(angle) * y + jnp.sin(angle) * x + (frames.shape[1] - 1) / 2.0,
        jnp.cos(angle) * x - jnp.sin(angle) * y + (frames.shape[2] - 1) / 2.0,
    )
    interpolate = functools.partial(jax.scipy.ndimage.map_coordinates, coordinates=source, order=1, mode="nearest")
    return jax.vmap(jax.vmap(interpolate), in_axes=-1, out_axes=-1)(frames)


def waveform(samples: jax.Array, settings: Mapping[str, Any], key: jax.Array, sample_rate: int) -> jax.Array:
    """An augmented waveform `[S]` in [-1, 1]."""
    size = samples.shape[0]
    if seconds := settings.get("shift", 0):
        source = jnp.arange(size) - jnp.round(either_way(key, "shift", seconds * sample_rate)).astype(int)
        samples = jnp.where((source >= 0) & (source < size), samples[jnp.clip(source, 0, size - 1)], 0.0)
    if gain := settings.get("gain", 0):
        samples = jnp.clip(samples * 10.0 ** (either_way(key, "gain", gain) / 20.0), -1.0, 1.0)
    if amplitude := settings.get("noise", 0):
        noise = jax.random.normal(key_of(key, "noise"), (size,))
        samples = jnp.clip(samples + amplitude * jnp.sqrt(jnp.square(samples).mean()) * noise, -1.0, 1.0)
    return samples


def words(ids: jax.Array, settings: Mapping[str, Any], key: jax.Array, synonyms: np.ndarray | None) -> jax.Array:
    """Augmented ids `[L]` of a text. END is never dropped; a text may lose all its words.

    Args:
      synonyms: `[V, K]`, see `tokenizer.synonym_table`; None where the operation `synonym` is not used.
    """
    word = (ids != PADDING) & (ids != END)
    if rate := settings.get("synonym", 0):
        others = jnp.asarray(synonyms)[ids]  # [L, K]
        count = (others != PADDING).sum(-1)
        choice = jnp.floor(draw(key, "choice", ids.shape) * count).astype(jnp.int32)
        other = jnp.take_along_axis(others, choice[:, None], axis=1)[:, 0]
        ids = jnp.where((count > 0) & (draw(key, "synonym", ids.shape) < rate), other, ids)
    if rate := settings.get("unknown", 0):
        ids = jnp.where(word & (draw(key, "unknown", ids.shape) < rate), UNKNOWN, ids)
    if rate := settings.get("drop", 0):
        ids = jnp.where(word & (draw(key, "drop", ids.shape) < rate), PADDING, ids)
        ids = ids[jnp.argsort(ids == PADDING, stable=True)]
    return ids
