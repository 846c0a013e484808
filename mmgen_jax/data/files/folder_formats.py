"""The formats that the files of a folder are converted to (shapes and rates), and the decoder of one file."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from mmgen_jax.config.ranges import NotNegative, Seconds, Side, Size
from mmgen_jax.data.files.folder_items import Item
from mmgen_jax.errors import ConfigError, DataError
from mmgen_jax.modalities import kinds
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.tokenizer import UNITS, split


@dataclasses.dataclass(kw_only=True)
class Formats:
    """
    Args:
      image_size, channels: of images and frames, which are square.
      num_frames, frame_rate: of a clip; a frame rate of 0 spreads the frames evenly over each clip.
      audio_seconds, sample_rate: of a waveform, which is cut or padded with zeros at its end.
      text_length, text_unit: of a text, in ids (END included) and their unit: `word`, `character` or `byte`.
      text_lines: whether the lines of a text file are several `captions` of the example, or are `joined` to one text.
    """

    image_size: Side = 32
    channels: Size = 3
    num_frames: Size = 8
    frame_rate: NotNegative = 0.0
    audio_seconds: Seconds = 1.0
    sample_rate: Size = 16_000
    text_length: Size = 32
    text_unit: str = "word"
    text_lines: str = "captions"

    def __post_init__(self):
        for field in ("image_size", "num_frames", "audio_seconds", "sample_rate", "text_length"):
            self.require(field, "more than 0", getattr(self, field) > 0)
        self.require("channels", "1 or 3", self.channels in (1, 3))
        self.require("frame_rate", "0 or more", self.frame_rate >= 0)
        self.require("text_lines", "captions or joined", self.text_lines in ("captions", "joined"))
        self.require("text_unit", "word, character or byte", self.text_unit in UNITS)

    def require(self, field: str, expected: str, holds: bool) -> None:
        if not holds:
            raise ConfigError(f"data.{field}: expected {expected}, got {getattr(self, field)!r}; set it in the config")

    def modality(self, items: Sequence[Item]) -> Modality:
        """The modality that `items` (one or more, of one modality) are converted to; for texts, without a tokenizer."""
        return kinds.find(items[0].kind).of_folder(self, [(item.path, item.value) for item in items])

    def decode(self, item: Item, modality: Modality) -> np.ndarray | tuple[str, ...] | None:
        """The texts, or the array in the modality's shape; None for the sound of a clip without sound.

        Raises:
          DataError: the file or the line cannot be used, or the text is longer than `text_length`.
        """
        if item.value is None and modality.traits.has_vocabulary and self.text_lines == "joined":
            value = (modality.traits.read_whole(item.path, item.modality),)
        elif item.value is not None:
            value = modality.traits.read_inline(item.value, str(item.path), item.modality)
        elif item.holder:
            value = kinds.find(item.holder).read_track(item.path, modality, item.modality)
        else:
            value = modality.traits.read_file(item.path, item.modality)
        if modality.traits.has_vocabulary:
            for text in value:
                self._check_length(item, text)
        return value

    def _check_length(self, item: Item, text: str) -> None:
        length = len(split(text, self.text_unit)) + 1
        if length > self.text_length:
            expected, got = f"at most {self.text_length - 1} {self.text_unit}s", length - 1
            advice = "shorten it or raise data.text_length"
            raise DataError(item.path, item.modality, "length", expected, got, advice)


def check_header(item: Item) -> None:
    """Raises DataError where a file is unusable, as far as this can be seen without decoding the file."""
    if item.value is None:
        kinds.find(item.holder or item.kind).check_header(item.path, item.modality)


def holds(item: Item) -> bool:
    """Whether an item exists: where its file is of another kind, such as a clip, the file may lack the item's track."""
    return not item.holder or kinds.find(item.holder).has_track(item.path, item.modality)
