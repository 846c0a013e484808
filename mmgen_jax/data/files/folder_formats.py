"""What the files of a folder are converted to: shapes and rates, and the decoder of one file."""

from __future__ import annotations

import dataclasses

import numpy as np

from mmgen_jax.data.files.folder_listing import Item
from mmgen_jax.modalities import decode, text
from mmgen_jax.modalities.containers import DataError
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.tokenizer import Tokenizer, split


@dataclasses.dataclass(kw_only=True)
class Formats:
    """
    Args:
      image_size, channels: of images and frames, which are square.
      num_frames, frame_rate: of a clip; a frame rate of 0 spreads the frames evenly over each clip.
      audio_seconds, sample_rate: of a waveform, which is cut or padded with zeros at its end.
      text_length, text_unit: of a text, in ids (one of them ends it) and their unit: `word`, `character` or `byte`.
    """

    image_size: int = 32
    channels: int = 3
    num_frames: int = 8
    frame_rate: float = 0.0
    audio_seconds: float = 1.0
    sample_rate: int = 16_000
    text_length: int = 32
    text_unit: str = "word"

    def __post_init__(self):
        for field in ("image_size", "num_frames", "audio_seconds", "sample_rate", "text_length"):
            self.require(field, "more than 0", getattr(self, field) > 0)
        self.require("channels", "1 or 3", self.channels in (1, 3))
        self.require("frame_rate", "0 or more", self.frame_rate >= 0)
        self.require("text_unit", "word, character or byte", self.text_unit in ("word", "character", "byte"))

    def require(self, field: str, expected: str, holds: bool) -> None:
        if not holds:
            raise ValueError(f"data.{field}: expected {expected}, got {getattr(self, field)!r}; set it in the config")

    def modality(self, name: str, tokenizer: Tokenizer | None = None) -> Modality:
        frame = (self.image_size, self.image_size, self.channels)
        if name == "text":
            return Modality("text", (self.text_length,), tokenizer=tokenizer)
        if name == "image":
            return Modality("image", frame)
        if name == "audio":
            return Modality("audio", (round(self.audio_seconds * self.sample_rate),), sample_rate=self.sample_rate)
        return Modality("video", (self.num_frames, *frame), frame_rate=self.frame_rate)

    def decode(self, item: Item) -> np.ndarray | str | None:
        """The text, or the array in its modality's shape; None for the sound of a clip that has none.

        Raises:
          DataError: the file cannot be used, or the text is longer than `text_length`.
        """
        if item.modality == "text":
            return self._text(item)
        modality = self.modality(item.modality)
        if item.modality == "image":
            return decode.image(item.path, modality.shape)
        if item.modality == "video":
            return decode.video(item.path, modality.shape, self.frame_rate)
        if not item.in_video:
            return decode.audio(item.path, *modality.shape, self.sample_rate)
        if not has_sound(item):
            return None
        return decode.video_audio(item.path, *modality.shape, self.sample_rate)

    def _text(self, item: Item) -> str:
        words = text.read(item.path) if item.caption is None else item.caption
        length = len(split(words, self.text_unit)) + 1
        if length > self.text_length:
            expected, got = f"at most {self.text_length - 1} {self.text_unit}s", length - 1
            raise DataError(item.path, "text", "length", expected, got, "shorten it or raise data.text_length")
        return words


def has_sound(item: Item) -> bool:
    with decode.open_video(item.path, item.modality) as container:
        return bool(container.streams.audio)


def check_header(item: Item) -> None:
    """Raises DataError for what is wrong with a file without decoding it."""
    opened = {"image": decode.open_image, "audio": decode.open_audio, "video": decode.open_video}
    opened[decode.kind_of(item.path)](item.path, item.modality).close()
