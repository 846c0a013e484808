"""Converts the features of a prepared TFDS set to modalities: one class for each feature type of `data/prepare.py`."""

from __future__ import annotations

import dataclasses
import io
import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from mmgen_jax.data.cache import arrays
from mmgen_jax.errors import ConfigError, InputError
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.tokenizer import Tokenizer


@dataclasses.dataclass(frozen=True)
class Feature:
    """One feature as one modality.

    Args:
      source: the `tfds_source.Source`, for its fields.
      name: of the modality.
      described: type, shape, classes and rate, as the set's export states them.
    """

    source: Any
    name: str
    described: Mapping[str, Any]

    has_pieces: ClassVar[bool] = False  # whether the feature can be cut into pieces that are examples (`text_pieces`)

    def modality(self) -> Modality:
        raise NotImplementedError

    def stored(self, prepared: arrays.Arrays, field: str) -> np.ndarray | None:
        """The column as the export holds it; None where `rows` must convert it."""
        return None

    def parameters(self) -> dict[str, Any]:
        """Parameters that the rows depend on, beside the modality's shape and rate."""
        return {}

    def rows(self, prepared: arrays.Arrays, field: str, modality: Modality) -> Iterator[np.ndarray]:
        raise NotImplementedError

    def error(self, message: str) -> ConfigError:
        return ConfigError(f"{self.source.dataset}: modality {self.name!r}: {message}")


class Label(Feature):
    """`[] int32`, -1 where unknown."""

    def modality(self) -> Modality:
        return Modality("label", classes=tuple(self.described["classes"]))

    def stored(self, prepared: arrays.Arrays, field: str) -> np.ndarray:
        return prepared[field]


class Text(Feature):
    """`[text_length] int32`: a text's beginning, or with `text_pieces` each of its pieces."""

    has_pieces = True

    def modality(self) -> Modality:
        return Modality("text", (self.source.text_length,), tokenizer=self.source.tokenizer_of(self.name))

    def parameters(self) -> dict[str, Any]:
        return {"unit": self.source.text_unit, "pieces": self.source.text_pieces}

    def rows(self, prepared: arrays.Arrays, field: str, modality: Modality) -> Iterator[np.ndarray]:
        assert modality.tokenizer is not None, "`modality` gives one"
        for value in prepared.text(field):
            yield from _encode(value, modality.tokenizer, self.source.text_length, self.source.text_pieces)


class Audio(Feature):
    """`[S]`, int16 or float32 as stored; channels are averaged."""

    def modality(self) -> Modality:
        rate = self.source.sample_rate or self.described["sample_rate"]
        if not rate:
            raise self.error("TFDS does not state its rate; set sample_rate")
        return Modality("audio", (round(self.source.audio_seconds * rate),), sample_rate=rate)

    def rows(self, prepared: arrays.Arrays, field: str, modality: Modality) -> Iterator[np.ndarray]:
        for value in prepared.ragged(field):
            yield _waveform(value, self.described["sample_rate"], modality)


class Image(Feature):
    """`[H, W, C] uint8`, the middle of the picture."""

    def modality(self) -> Modality:
        return Modality("image", self.frame(self.source.image_size, "image"))

    def frame(self, size: int, what: str) -> tuple[int, int, int]:
        *_, height, width, channels = self.described["shape"]
        if not size and (height is None or width is None):
            raise self.error(f"its {what}s differ in size; set {what}_size")
        return size or height, size or width, channels or 3

    def stored(self, prepared: arrays.Arrays, field: str) -> np.ndarray | None:
        return prepared[field] if list(self.modality().shape) == self.described["shape"] else None

    def rows(self, prepared: arrays.Arrays, field: str, modality: Modality) -> Iterator[np.ndarray]:
        for value in prepared.ragged(field) if self.described["encoded"] else prepared[field]:
            yield _picture(value, modality.shape)


class Video(Image):
    """`[T, H, W, C] uint8`, frames evenly spaced from the first to the last."""

    def modality(self) -> Modality:
        return Modality("video", (self.source.num_frames, *self.frame(self.source.video_size, "video")))

    def stored(self, prepared: arrays.Arrays, field: str) -> None:
        return None

    def rows(self, prepared: arrays.Arrays, field: str, modality: Modality) -> Iterator[np.ndarray]:
        for value in prepared.ragged(field):
            if not len(value):
                raise InputError(f"{self.source.dataset}: field {field!r} has a video without frames")
            frames = np.rint(np.linspace(0, len(value) - 1, modality.shape[0])).astype(int)
            yield np.stack([_picture(frame, modality.shape[1:]) for frame in value[frames]])


class Tensor(Feature):
    """`[D]` or `[T, D]` float32: numbers for which there is no more specific type."""

    def modality(self) -> Modality:
        shape = tuple(self.described["shape"])
        if len(shape) not in (1, 2) or not math.prod(shape):
            raise self.error(f"expected numbers [D] or [T, D], got shape {list(shape)}; choose another feature")
        return Modality("vector", shape)

    def rows(self, prepared: arrays.Arrays, field: str, modality: Modality) -> Iterator[np.ndarray]:
        for value in prepared[field]:
            yield value.astype(np.float32)


TYPES = {"image": Image, "label": Label, "text": Text, "audio": Audio, "video": Video, "tensor": Tensor}


def _encode(value: str, tokenizer: Tokenizer, length: int, pieces: bool) -> Iterator[np.ndarray]:
    """`[length] int32` of a text's beginning, or of each of its pieces."""
    units = tokenizer.split(value)
    for start in range(0, max(len(units), 1), length - 1):
        yield tokenizer.encode(tokenizer.join(units[start : start + length - 1]), length)
        if not pieces:
            return


def _waveform(value: np.ndarray, rate: int, modality: Modality) -> np.ndarray:
    """`[S]`, int16 or float32 as stored."""
    if value.ndim == 2:
        value = value.mean(axis=1).astype(value.dtype)
    if rate and rate != modality.sample_rate:
        from scipy import signal

        common = math.gcd(rate, modality.sample_rate)
        resampled = signal.resample_poly(value.astype(np.float32), modality.sample_rate // common, rate // common)
        limit = np.iinfo(value.dtype) if value.dtype == np.int16 else np.finfo(value.dtype)
        value = resampled.clip(limit.min, limit.max).astype(value.dtype)
    row = np.zeros(modality.shape, value.dtype)
    row[: len(value)] = value[: len(row)]
    return row


def _picture(value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """`[H, W, C] uint8` from an image array or from the bytes of an image file: the middle of the image, resized."""
    from PIL import Image, ImageOps

    if value.shape == shape:
        return value
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[shape[-1]]
    image = (
        Image.open(io.BytesIO(value.tobytes()))
        if value.ndim == 1
        else Image.fromarray(value.squeeze(-1) if value.shape[-1] == 1 else value)
    )
    image = ImageOps.fit(image.convert(mode), (shape[1], shape[0]), Image.Resampling.LANCZOS)
    return np.asarray(image).reshape(shape)
