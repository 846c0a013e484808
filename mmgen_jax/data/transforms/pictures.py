"""Helpers for transforms: checks of the input, a modality with another shape, and ranges of numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.space import is_clip, is_picture


def picture(name: str, of: Modality) -> tuple[int, int, int]:
    """`(H, W, C)` of a picture; raises ConfigError for another kind of data, and for a mask, which has two values."""
    if not is_picture(of.space) or of.traits.binary:
        raise ConfigError(f"transforms/{name}: reads pictures, got kind {of.kind!r}; derive it from an image")
    height, width, channels = of.shape
    return height, width, channels


def clip(name: str, of: Modality) -> tuple[int, int, int, int]:
    """`(T, H, W, C)` of a clip; raises ConfigError for another kind of data."""
    if not is_clip(of.space):
        raise ConfigError(f"transforms/{name}: reads clips, got kind {of.kind!r}; derive it from a video")
    num, height, width, channels = of.shape
    return num, height, width, channels


def like(of: Modality, shape: tuple[int, int, int]) -> Modality:
    """The modality with another shape."""
    return dataclasses.replace(of, shape=shape)


def check_range(field: str, value: float | Sequence[float]) -> None:
    """Raises ConfigError for a range whose low end is above its high end; `field` is `<transform>.<field>`."""
    if isinstance(value, Sequence) and value[0] > value[1]:
        raise ConfigError(f"transforms/{field}: expected a range (low, high), got {value}")


def drawn(value: float | Sequence[float], rng: np.random.Generator) -> float:
    """A number as it is, or a draw from a range."""
    return rng.uniform(value[0], value[1]) if isinstance(value, Sequence) else value
