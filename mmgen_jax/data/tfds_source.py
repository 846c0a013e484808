"""Any set of tensorflow-datasets, by a map from modalities to its features.

    data = dict(name="tfds_source", dataset="mnist", fields=dict(photo="image", digit="label"), image_size=32)

`mmgen prepare-data --dataset=NAME` fetches and exports the set, once; https://www.tensorflow.org/datasets/catalog has
each set's home page, licence and features. Resizing, resampling and tokenising happen once, too, when a source first
needs them, and are kept in the cache.

Where the set has no official `validation` or `test` split, each missing one is a tenth of `train`, taken from a fixed
permutation (`numpy.random.RandomState(0)`, validation first) and left out of `train`.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from mmgen_jax.data import prepare
from mmgen_jax.data.cache import arrays, arrays_writer
from mmgen_jax.modalities.modality import MASK_SUFFIX, Modality
from mmgen_jax.modalities.tokenizer import Tokenizer

VERSION = 1  # raise when what a column holds changes
CHUNK = 256  # examples held at a time


@dataclasses.dataclass(frozen=True)
class Source:
    """A prepared TFDS set.

    Args:
      dataset: its TFDS name, with a config or version if need be: `mnist`, `mnist:3.0.1`, `glue/cola`.
      fields: the feature that each modality reads; features nested in a dict are `outer/inner`.
      split: `train`, `validation`, `test`, or another official split.
      names: of the modalities; () is all.
      image_size: side in pixels after cropping the middle square and resizing; 0 keeps the size, if all have the same.
      video_size: the same for video.
      num_frames: of a video, evenly spaced from its first to its last.
      audio_seconds: from the start on; a shorter waveform is followed by silence. Channels are averaged.
      sample_rate: in Hz; audio of another rate is resampled. 0 keeps the rate.
      text_length: ids per text, its end included; a longer text loses its end.
      text_unit: `word`, `character` or `byte`; the vocabulary is that of `train`, and open.
      text_pieces: cuts every text into pieces of `text_length`, each an example; for sets that are one long text.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "validation", "test")

    dataset: str
    fields: Mapping[str, str]
    split: str = "train"
    names: tuple[str, ...] = ()
    image_size: int = 0
    video_size: int = 0
    num_frames: int = 8
    audio_seconds: float = 1.0
    sample_rate: int = 0
    text_length: int = 32
    text_unit: str = "word"
    text_pieces: bool = False

    def __post_init__(self):
        object.__setattr__(self, "fields", dict(self.fields))
        if unknown := [name for name in self.names if name not in self.fields]:
            raise ValueError(
                f"{self.dataset}: no modality {unknown[0]!r} in `fields`; there are {', '.join(self.fields)}"
            )

    def __reduce__(self):
        # Worker processes open the prepared files again instead of receiving them.
        return type(self), tuple(getattr(self, field.name) for field in dataclasses.fields(self))

    @functools.cached_property
    def modalities(self) -> dict[str, Modality]:
        return {name: self._modality(name) for name in self.names or self.fields}

    def __len__(self) -> int:
        return len(self._examples[1])

    def read(self, indices: np.ndarray, epochs: np.ndarray) -> dict[str, np.ndarray]:
        del epochs  # the same in every pass
        rows = self._examples[1][np.asarray(indices)]
        batch = {}
        for name, column in self._columns.items():
            kind, values = self.modalities[name].kind, column[rows]
            if kind in ("image", "video"):
                values = values * np.float32(1 / 127.5) - np.float32(1)
            elif kind == "audio":
                values = values * np.float32(1 / 32768) if values.dtype == np.int16 else values.clip(-1, 1)
            elif kind == "label" and self._has_unknown[name]:
                batch[name + MASK_SUFFIX] = values >= 0
                values = np.maximum(values, 0)
            batch[name] = values
        return batch

    @functools.cached_property
    def _prepared(self) -> dict[str, arrays.Arrays]:
        return prepare.splits(self.dataset)

    @functools.cached_property
    def _examples(self) -> tuple[str, np.ndarray]:
        """The official split that the examples are in, and their rows there."""
        if self.split not in (*self.splits, *self._prepared) or not {self.split, "train"} & set(self._prepared):
            raise ValueError(
                f"{self.dataset}: split {self.split!r} does not exist; there are {', '.join(self._prepared)}"
            )
        missing = [split for split in ("validation", "test") if split not in self._prepared]
        if self.split in self._prepared and (self.split != "train" or not missing):
            return self.split, np.arange(self._count(self.split))
        count = self._count("train")
        order = np.random.RandomState(0).permutation(count)  # its stream is the same in every NumPy
        parts = {split: order[i * (count // 10) : (i + 1) * (count // 10)] for i, split in enumerate(missing)}
        parts["train"] = order[len(missing) * (count // 10) :]
        return "train", np.sort(parts[self.split])

    def _count(self, split: str) -> int:
        return len(self._column(next(iter(self.fields)), split)) if self.text_pieces else len(self._prepared[split])

    @functools.cached_property
    def _columns(self) -> dict[str, np.ndarray]:
        return {name: self._column(name, self._examples[0]) for name in self.modalities}

    @functools.cached_property
    def _has_unknown(self) -> dict[str, bool]:
        return {n: bool((c < 0).any()) for n, c in self._columns.items() if self.modalities[n].kind == "label"}

    def _feature(self, name: str) -> dict:
        features = next(iter(self._prepared.values())).attributes["features"]
        feature = features.get(self.fields[name])
        if feature is None or feature["kind"] == "tensor":
            usable = ", ".join(f"{field} ({f['kind']})" for field, f in features.items() if f["kind"] != "tensor")
            raise ValueError(
                f"{self.dataset}: modality {name!r}: feature {self.fields[name]!r} does not exist or is no text, "
                f"image, audio, video or label; there are {usable}"
            )
        if self.text_pieces and (feature["kind"] != "text" or len(self.fields) > 1):
            raise ValueError(f"{self.dataset}: text_pieces needs one text as the only modality, got {self.fields}")
        return feature

    def _modality(self, name: str) -> Modality:
        feature = self._feature(name)
        kind = feature["kind"]
        if kind == "label":
            return Modality("label", classes=tuple(feature["classes"]))
        if kind == "text":
            return Modality("text", (self.text_length,), tokenizer=self._tokenizer(name))
        if kind == "audio":
            rate = self.sample_rate or feature["sample_rate"]
            if not rate:
                raise ValueError(f"{self.dataset}: modality {name!r}: TFDS does not state its rate; set sample_rate")
            return Modality("audio", (round(self.audio_seconds * rate),), sample_rate=rate)
        size = self.image_size if kind == "image" else self.video_size
        *_, height, width, channels = feature["shape"]
        if not size and (height is None or width is None):
            raise ValueError(f"{self.dataset}: modality {name!r}: its {kind}s differ in size; set {kind}_size")
        shape = (size or height, size or width, channels or 3)
        return Modality(kind, shape if kind == "image" else (self.num_frames, *shape))

    def _tokenizer(self, name: str) -> Tokenizer:
        train = self._prepared["train"]
        if self.text_unit == "byte":
            return Tokenizer("byte")

        def build(writer: arrays_writer.Writer) -> None:
            rows = range(len(train)) if self.text_pieces else self._train_rows
            texts = train.text(self.fields[name])
            writer.extend({"unit": list(build((texts[i] for i in rows), self.text_unit).vocabulary)})

        vocabulary = self._cached("vocabulary", train, name, {"unit": self.text_unit}, build)
        return Tokenizer(self.text_unit, tuple(vocabulary.text("unit")), open=True)

    @property
    def _train_rows(self) -> np.ndarray:
        return dataclasses.replace(self, split="train")._examples[1]

    def _column(self, name: str, split: str) -> np.ndarray:
        """A modality's values for every example of an official split, in the shape and rate that they are read in."""
        prepared, field = self._prepared[split], self.fields[name]
        feature, modality = self._feature(name), self._modality(name)
        if feature["kind"] == "label":
            return prepared[field]
        if feature["kind"] == "image" and list(modality.shape) == feature["shape"]:
            return prepared[field]
        parameters: dict[str, Any] = {"shape": modality.shape, "rate": modality.sample_rate}
        if feature["kind"] == "text":
            parameters |= {"unit": self.text_unit, "pieces": self.text_pieces}
        rows = self._rows(prepared, field, feature, modality)

        def build(writer: arrays_writer.Writer) -> None:
            while chunk := list(itertools.islice(rows, CHUNK)):
                writer.extend({"values": np.stack(chunk)})

        return self._cached("column", prepared, name, parameters, build)["values"]

    def _cached(self, kind: str, prepared: arrays.Arrays, name: str, parameters: dict, build: Any) -> arrays.Arrays:
        parameters = {"version": VERSION, "field": self.fields[name], **parameters}
        place = prepared.directory.relative_to(arrays.cache_dir() / "prepared")
        return arrays.cached(f"tfds_source/{place}/{kind}", [prepared.directory / "meta.json"], parameters, build)

    def _rows(self, prepared: arrays.Arrays, field: str, feature: dict, modality: Modality) -> Iterator[np.ndarray]:
        """The rows of a column, one after the other."""
        kind = feature["kind"]
        if kind == "text":
            for value in prepared.text(field):
                yield from _encode(value, modality.tokenizer, self.text_length, self.text_pieces)
        elif kind == "audio":
            for value in prepared.ragged(field):
                yield _waveform(value, feature["sample_rate"], modality)
        elif kind == "image":
            for value in prepared.ragged(field) if feature["encoded"] else prepared[field]:
                yield _picture(value, modality.shape)
        else:
            for value in prepared.ragged(field):
                if not len(value):
                    raise ValueError(f"{self.dataset}: field {field!r} has a video without frames")
                frames = np.rint(np.linspace(0, len(value) - 1, self.num_frames)).astype(int)
                yield np.stack([_picture(frame, modality.shape[1:]) for frame in value[frames]])


def _encode(value: str, tokenizer: Tokenizer, length: int, pieces: bool) -> Iterator[np.ndarray]:
    """`[length] int32` of a text's beginning, or of each of its pieces."""
    units = tokenizer.split(value)
    for start in range(0, max(len(units), 1), length - 1):
        piece = units[start : start + length - 1]
        if tokenizer.unit == "byte":  # a character cut in two is dropped
            yield tokenizer.encode(bytes(piece).decode("utf-8", errors="ignore"), length)
        else:
            yield tokenizer.encode((" " if tokenizer.unit == "word" else "").join(piece), length)
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
    """`[H, W, C] uint8` from an image of that many channels or the bytes of a file: its middle, resized."""
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
