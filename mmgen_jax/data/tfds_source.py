"""Any set of tensorflow-datasets: `fields` maps each modality to a feature of the set.

    data = dict(name="tfds_source", dataset="mnist", fields=dict(photo="image", digit="label"), image_size=32)

`mmgen prepare-data --dataset=NAME` fetches and exports the set, once; https://www.tensorflow.org/datasets/catalog has
each set's home page, licence and features. Resizing, resampling and tokenising are also done once, when a source first
needs them; the results are cached.

Where the set has no official `validation` or `test` split, each missing split is a tenth of `train`, taken from a fixed
permutation (`numpy.random.RandomState(0)`, validation first) and left out of `train`.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from mmgen_jax.config.ranges import Count, Seconds, Sides, Size
from mmgen_jax.data import prepare
from mmgen_jax.data.cache import arrays, arrays_writer
from mmgen_jax.data.files import tfds_features
from mmgen_jax.errors import InputError
from mmgen_jax.modalities import tokenizer
from mmgen_jax.modalities.modality import MASK_SUFFIX, Modality
from mmgen_jax.modalities.space import Continuous

VERSION = 1  # raise when the content of a cached column changes
CHUNK = 256  # examples held at a time


@dataclasses.dataclass(frozen=True)
class Source:
    """A prepared TFDS set.

    Args:
      dataset: the TFDS name, with a config or version if need be: `mnist`, `mnist:3.0.1`, `glue/cola`.
      fields: `{modality: feature}`; features nested in a dict are named `outer/inner`.
      split: `train`, `validation`, `test`, or another official split.
      names: some of the modalities of `fields`; () is all.
      image_size: side in pixels, after cropping to the middle square and resizing; 0 keeps the size where all images
        have the same size.
      video_size: the same for videos.
      num_frames: frames of a video, evenly spaced from the first to the last frame.
      audio_seconds: length of the audio; longer waveforms are cut at the end, shorter ones padded with silence.
        Channels are averaged.
      sample_rate: in Hz; audio of another rate is resampled. 0 keeps the rate.
      text_length: ids per text, with END; longer texts are cut at the end.
      text_unit: `word`, `character` or `byte`; the vocabulary is open, and built from the texts of `train`.
      text_pieces: whether texts are cut into pieces of `text_length`, each an example; for sets with one long text.
      label_preserving: as in `data/folder.py`.

    Raises:
      InputError: a name without an entry in `fields`. Features, splits and shapes are checked when they are first used.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "validation", "test")

    dataset: str
    fields: Mapping[str, str]
    split: str = "train"
    names: tuple[str, ...] = ()
    image_size: Sides = 0
    video_size: Sides = 0
    num_frames: Size = 8
    audio_seconds: Seconds = 1.0
    sample_rate: Count = 0
    text_length: Size = 32
    text_unit: str = "word"
    text_pieces: bool = False
    label_preserving: tuple[str, ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "fields", dict(self.fields))
        if unknown := [name for name in self.names if name not in self.fields]:
            raise InputError(
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
            values, space = column[rows], self.modalities[name].space
            if values.dtype == np.uint8:  # pixels
                values = values * np.float32(1 / 127.5) - np.float32(1)
            elif values.dtype == np.int16:  # a waveform
                values = values * np.float32(1 / 32768)
            elif isinstance(space, Continuous):
                values = values.clip(-1, 1) if space.bounded else values
            elif self._has_unknown[name]:
                batch[name + MASK_SUFFIX] = values >= 0
                values = np.maximum(values, 0)
            batch[name] = values
        return batch

    @functools.cached_property
    def _prepared(self) -> dict[str, arrays.Arrays]:
        return prepare.splits(self.dataset)

    @functools.cached_property
    def _examples(self) -> tuple[str, np.ndarray]:
        """The name of the official split that holds the examples, and their rows in it."""
        if self.split not in (*self.splits, *self._prepared) or not {self.split, "train"} & set(self._prepared):
            raise InputError(
                f"{self.dataset}: split {self.split!r} does not exist; there are {', '.join(self._prepared)}"
            )
        missing = [split for split in ("validation", "test") if split not in self._prepared]
        if self.split in self._prepared and (self.split != "train" or not missing):
            return self.split, np.arange(self._count(self.split))
        count = self._count("train")
        order = np.random.RandomState(0).permutation(count)  # the same permutation in every version of NumPy
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
        """For each column of ids, whether some ids are -1 (unknown)."""
        return {n: bool((c < 0).any()) for n, c in self._columns.items() if c.dtype == np.int32}

    def _feature(self, name: str) -> tfds_features.Feature:
        features = next(iter(self._prepared.values())).attributes["features"]
        described = features.get(self.fields[name])
        if described is None:
            usable = ", ".join(f"{field} ({feature['kind']})" for field, feature in features.items())
            raise InputError(
                f"{self.dataset}: modality {name!r}: feature {self.fields[name]!r} does not exist; there are {usable}"
            )
        feature = tfds_features.TYPES[described["kind"]](self, name, described)
        if self.text_pieces and (not feature.has_pieces or len(self.fields) > 1):
            raise InputError(f"{self.dataset}: text_pieces needs one text as the only modality, got {self.fields}")
        return feature

    def _modality(self, name: str) -> Modality:
        return self._feature(name).modality()

    def tokenizer_of(self, name: str) -> tokenizer.Tokenizer:
        """The tokenizer of a text modality, built from the texts of `train`."""
        train = self._prepared["train"]
        if self.text_unit == "byte":
            return tokenizer.Tokenizer("byte")

        def build(writer: arrays_writer.Writer) -> None:
            rows = range(len(train)) if self.text_pieces else self._train_rows
            texts = train.text(self.fields[name])
            writer.extend({"unit": list(tokenizer.build((texts[i] for i in rows), self.text_unit).vocabulary)})

        vocabulary = self._cached("vocabulary", train, name, {"unit": self.text_unit}, build)
        return tokenizer.Tokenizer(self.text_unit, tuple(vocabulary.text("unit")), open=True)

    @property
    def _train_rows(self) -> np.ndarray:
        return dataclasses.replace(self, split="train")._examples[1]

    def _column(self, name: str, split: str) -> np.ndarray:
        """A modality's values `[N, …]` for all examples of an official split, resized or resampled as configured."""
        prepared, field = self._prepared[split], self.fields[name]
        feature = self._feature(name)
        if (stored := feature.stored(prepared, field)) is not None:
            return stored
        modality = feature.modality()
        parameters = {"shape": modality.shape, "rate": modality.sample_rate, **feature.parameters()}
        rows = feature.rows(prepared, field, modality)

        def build(writer: arrays_writer.Writer) -> None:
            while chunk := list(itertools.islice(rows, CHUNK)):
                writer.extend({"values": np.stack(chunk)})

        return self._cached("column", prepared, name, parameters, build)["values"]

    def _cached(self, kind: str, prepared: arrays.Arrays, name: str, parameters: dict, build: Any) -> arrays.Arrays:
        parameters = {"version": VERSION, "field": self.fields[name], **parameters}
        place = prepared.directory.relative_to(arrays.cache_dir() / "prepared")
        return arrays.cached(f"tfds_source/{place}/{kind}", [prepared.directory / "meta.json"], parameters, build)
