"""Analytic judges of the scenes world: the factors that a picture, clip or caption shows; nothing is trained."""

from __future__ import annotations

import functools

import numpy as np

from mmgen_jax.errors import ConfigError
from mmgen_jax.scenes import image, text
from mmgen_jax.scenes.factors import FACTORS, SHAPES, SIZES

SIDE = int(image.SIDE)  # pictures are judged at 32 x 32
SCALES = np.array([0.9, 1.0, 1.1], np.float32)  # of each size's radius
PLACES = np.arange(-7.5, 7.6, 1.0, dtype=np.float32)  # of a template's centre, on each axis
BLURS = (0.0, 1.1)  # standard deviations, in pixels, of the Gaussians that templates are blurred by
SHARPNESS = 12.0  # inverse temperature of the softmax over the six hues, whose logits are cosines
BLOCK = 256  # pictures matched at once

_CHROMA = image.RGB - image.RGB.mean(axis=1, keepdims=True)
_CHROMA = _CHROMA / np.linalg.norm(_CHROMA, axis=1, keepdims=True)  # [6, 3] directions in the plane without grey


def judge_images(images) -> dict[str, np.ndarray]:
    """`{"shape", "color", "size": [B] int32, "confidence": [B] float32}` of `images [B, H, W, 3]` in [-1, 1].

    The colour is the hue with the largest share of the chroma, after the background is subtracted. The strength of that
    hue in each pixel is a soft mask. The mask is compared with templates of every shape, size and place by normalised
    cross-correlation; the best template gives shape and size. `confidence` is the correlation with the best template: 1
    is a perfect match, true renders reach 0.9, noise 0.1.
    """
    images = _at_side(images)
    parts = [_judge_block(images[i : i + BLOCK]) for i in range(0, len(images), BLOCK)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def judge_videos(videos) -> dict[str, np.ndarray]:
    """`{"shape", "color", "size", "motion", "confidence"}` of `videos [B, T, H, W, 3]` in [-1, 1].

    A line is fitted to the centroids of all frames; the motion is the nearest of the five motions. The other factors
    and `confidence` are those of the middle frame.
    """
    batch, frames = videos.shape[:2]
    judged = judge_images(videos[:, frames // 2])
    motion = np.zeros(batch, np.int32)
    if frames > 1:
        _, mask = foreground(_at_side(videos.reshape(-1, *videos.shape[2:])))
        mask = np.where(mask > 0.5, mask, 0).reshape(batch, frames, SIDE, SIDE)
        pixels = np.arange(SIDE) / np.maximum(mask.sum(axis=(2, 3)), 1e-6)[..., None]  # [B, T, 32]
        center = np.stack([(mask.sum(axis=2) * pixels).sum(-1), (mask.sum(axis=3) * pixels).sum(-1)], axis=-1)
        time = np.arange(frames) / frames
        time -= time.mean()
        travel = np.einsum("t,btd->bd", time, center) / (time**2).sum()  # [B, 2] px over the whole clip
        distance = np.linalg.norm(travel[:, None] - image.TRAVEL * image.DIRECTION, axis=-1)
        motion = distance.argmin(axis=1).astype(np.int32)
    return judged | {"motion": motion}


def judge_texts(ids) -> dict[str, np.ndarray]:
    """`{"shape", "color", "size", "motion": [B] int32}` of captions `ids [B, L]`; -1 for a factor that is not told."""
    stated = [text.parse(text.TOKENIZER.decode(row)) for row in np.asarray(ids)]
    return {factor: np.array([parsed.get(factor, -1) for parsed in stated], np.int32) for factor in FACTORS}


def _judge_block(images: np.ndarray) -> dict[str, np.ndarray]:
    color, mask = foreground(images)
    scores = match(mask)  # [B, 6, 2]
    best = scores.reshape(len(scores), -1).argmax(axis=1)
    shape, size = np.divmod(best.astype(np.int32), len(SIZES))
    return {"shape": shape, "color": color, "size": size, "confidence": scores.max(axis=(1, 2))}


def foreground(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The colour `[B] int32` of the object, and its soft mask `[B, H, W]` in [0, 1], of `images [B, H, W, 3]`."""
    height, width = images.shape[1:3]
    border = np.ones((height, width), bool)
    border[2:-2, 2:-2] = False
    chroma = images - np.median(images[:, border], axis=1)[:, None, None]
    chroma -= chroma.mean(axis=-1, keepdims=True)
    towards = chroma @ _CHROMA.T  # [B, H, W, 6]
    strength = np.linalg.norm(chroma, axis=-1, keepdims=True)
    membership = np.exp(SHARPNESS * (towards / np.maximum(strength, 1e-6) - 1))
    membership /= membership.sum(axis=-1, keepdims=True)
    color = (membership * strength**2).sum(axis=(1, 2)).argmax(axis=-1).astype(np.int32)
    mask = np.take_along_axis(towards, color[:, None, None, None], axis=-1)[..., 0]
    # the smallest object, a small star, covers about 3 % of the picture: the top 1.5 % of pixels are covered wholly
    full = np.quantile(mask.reshape(len(mask), -1), 0.985, axis=1)[:, None, None]
    return color, np.clip(mask / np.maximum(full, 1e-6), 0.0, 1.0)


def match(mask: np.ndarray) -> np.ndarray:
    """`[B, 6, 2]`: the best normalised cross-correlation of `mask [B, 32, 32]` with each shape in each size."""
    mask = _standardise(mask.reshape(len(mask), -1))
    scores = mask @ _templates().T
    return scores.reshape(len(mask), len(SHAPES), len(SIZES), -1).max(axis=-1)


@functools.cache
def _templates() -> np.ndarray:
    """`[6 * 2 * 2 * 3 * 256, 32 * 32]`: masks with mean 0 and norm 1, ordered by shape, size, blur, scale, place."""
    y, x = np.meshgrid(PLACES, PLACES, indexing="ij")
    radius = image.RADIUS[:, None] * SCALES  # [2, 3]
    radius, x, y = np.broadcast_arrays(radius[..., None], x.ravel(), y.ravel())  # [2, 3, 256]
    shape = np.repeat(np.arange(len(SHAPES)), radius.size)
    radius, x, y = (np.tile(a.ravel(), len(SHAPES)) for a in (radius, x, y))
    alpha = image.coverage(shape, radius, np.stack([x, y], axis=-1)[:, None], SIDE)
    alpha = alpha.reshape(len(SHAPES), len(SIZES), 1, -1, SIDE, SIDE)
    seen = np.concatenate([blur @ alpha @ blur for blur in map(_gaussian, BLURS)], axis=2)
    return _standardise(seen.reshape(-1, SIDE * SIDE))


def _gaussian(sigma: float) -> np.ndarray:
    """`[32, 32]`, symmetric: the matrix that blurs a row of pixels by a Gaussian of `sigma` px."""
    if not sigma:
        return np.eye(SIDE, dtype=np.float32)
    offset = np.arange(SIDE)[:, None] - np.arange(SIDE)
    weights = np.exp(-0.5 * (offset / sigma) ** 2)
    return (weights / np.exp(-0.5 * (np.arange(-SIDE, SIDE) / sigma) ** 2).sum()).astype(np.float32)


def _standardise(flat: np.ndarray) -> np.ndarray:
    flat = flat - flat.mean(axis=1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)


def _at_side(images) -> np.ndarray:
    """`images [B, H, H, 3]`, resampled to 32 x 32 where they have another size."""
    batch, height, width, channels = images.shape
    if height != width or height < 16 or channels != 3:
        raise ConfigError(
            f"scenes_judge: expected images [B, H, H, 3] with H >= 16, got {list(images.shape)}; judge RGB renders only"
        )
    if height != SIDE:
        import jax.image

        images = jax.image.resize(images, (batch, SIDE, SIDE, 3), "linear")
    return np.asarray(images, np.float32)
