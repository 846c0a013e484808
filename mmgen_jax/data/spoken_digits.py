"""Spoken digits: 2,500 recordings of ten words by five speakers, each recording once.

- audio: the recording at 8 kHz mono, the first `seconds`; shorter recordings are padded with silence. The level is not
  normalised: peaks are between 0.01 and 1.
- text: the word, "zero" to "nine".
- digit, speaker: as labels.

Free Spoken Digit Dataset 1.0.9 (https://github.com/Jakobovski/free-spoken-digit-dataset, CC BY-SA 4.0); `digits` joins
the same recordings with images. `mmgen prepare-data --dataset=spoken_digit` fetches the set through
tensorflow-datasets, once.

Splits: of each speaker and digit, `test` has recordings 0 to 4 (250), the test split of the set's authors, `validation`
recordings 5 to 9 (250), `train` the others (2,000).
"""

from __future__ import annotations

import dataclasses
import functools
from typing import ClassVar

import numpy as np

from mmgen_jax.config.ranges import Seconds, Size
from mmgen_jax.data import prepare
from mmgen_jax.data.digits import RECORDINGS, SAMPLE_RATE, WORDS
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities import tokenizer
from mmgen_jax.modalities.modality import Modality

SPEAKERS = ("george", "jackson", "nicolas", "theo", "yweweler")


@dataclasses.dataclass(frozen=True)
class Source:
    """Recordings, words, digits and speakers.

    Args:
      split: `train`, `validation` or `test`.
      names: some of `text`, `audio`, `digit`, `speaker`; () is all.
      seconds: length of the audio (1.2 % of the recordings are longer than 0.75 s, 0.16 % than 1 s).
      text_unit: `word` or `character`.
      text_length: ids of a text with END: 2 or more for words, 6 or more for characters.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "validation", "test")
    available: ClassVar[tuple[str, ...]] = ("text", "audio", "digit", "speaker")
    label_preserving: ClassVar[tuple[str, ...]] = ()
    grammar: ClassVar[tuple[tuple[str, ...], ...]] = (WORDS,)  # the words at each place of a text

    split: str = "train"
    names: tuple[str, ...] = ()
    seconds: Seconds = 0.75
    text_unit: str = "word"
    text_length: Size = 6

    def __post_init__(self):
        if self.split not in self.splits:
            raise ConfigError(f"spoken_digits: expected a split of {', '.join(self.splits)}, got {self.split!r}")
        if unknown := [name for name in self.names if name not in self.available]:
            raise ConfigError(f"spoken_digits: expected names of {', '.join(self.available)}, got {unknown[0]!r}")
        if self.text_unit not in ("word", "character"):
            raise ConfigError(f"spoken_digits: text_unit: expected word or character, got {self.text_unit!r}")
        least = 2 if self.text_unit == "word" else 6
        if self.text_length < least:
            raise ConfigError(f"spoken_digits: text_length: expected {least} or more, got {self.text_length}")

    def __reduce__(self):
        # Worker processes open the prepared files again instead of receiving them.
        return type(self), tuple(getattr(self, field.name) for field in dataclasses.fields(self))

    @functools.cached_property
    def modalities(self) -> dict[str, Modality]:
        words = tokenizer.build(WORDS, self.text_unit, open=False)
        every = {
            "text": Modality("text", (self.text_length,), tokenizer=words),
            "audio": Modality("audio", (round(self.seconds * SAMPLE_RATE),), sample_rate=SAMPLE_RATE),
            "digit": Modality("label", classes=tuple("0123456789")),
            "speaker": Modality("label", classes=SPEAKERS),
        }
        return {name: every[name] for name in self.names or self.available}

    def __len__(self) -> int:
        return len(self._columns["digit"])

    def read(self, indices: np.ndarray, epochs: np.ndarray) -> dict[str, np.ndarray]:
        """Recordings in the order of their file names, the same in every pass."""
        del epochs
        indices = np.asarray(indices, np.int64)
        rows = {name: self._columns[name][indices] for name in self.modalities}
        return rows | ({"audio": rows["audio"] * np.float32(1 / 32768)} if "audio" in rows else {})

    @functools.cached_property
    def _columns(self) -> dict[str, np.ndarray]:
        stored = prepare.splits("spoken_digit")["train"]  # the whole set: TFDS has only this split
        files = [file[: -len(".wav")].split("_") for file in stored.text("audio/filename")]  # digit, speaker, recording
        kept = [i for i, (_, _, recording) in enumerate(files) if int(recording) in RECORDINGS[self.split]]
        kept = np.array(sorted(kept, key=lambda i: files[i]))
        columns = {"digit": np.array([int(files[i][0]) for i in kept], np.int32)}
        if "speaker" in self.modalities:
            columns["speaker"] = np.array([SPEAKERS.index(files[i][1]) for i in kept], np.int32)
        if "text" in self.modalities:
            words = self.modalities["text"].tokenizer
            assert words is not None
            ids = np.array([words.encode(word, self.text_length) for word in WORDS])
            columns["text"] = ids[columns["digit"]]
        if "audio" in self.modalities:
            columns["audio"] = stored.ragged("audio").window(kept, self.modalities["audio"].shape[0])
        return columns
