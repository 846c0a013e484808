"""GRID, speaker 1: a person seen and heard saying 1,000 sentences.

- video: the face, 3 s at 25 frames a second. `num_frames` frames are read: the clip is divided into as many equal
  parts, and the middle frame of each part is taken.
- image: frame `num_frames // 2` of the video.
- audio: the sound of the whole clip. With `spoken_only`, only its words, for speech synthesis: from 0.05 s before the
  first word to 0.15 s after the last word, as the alignments tell them; zeros follow. Words last 1.1 to 2.2 s.
- text: the sentence, six words of a closed grammar: command, color, preposition, letter, digit, adverb ("bin blue at f
  two now"); 51 words.
- command, color, preposition, letter, digit, adverb: the word at each place of the sentence, as a label.

Home: https://zenodo.org/records/3625687 (Cooke, Barker, Cunningham, Shao, "An audio-visual corpus for speech
perception and automatic speech recognition", JASA 2006; CC BY 4.0 as others state it: see the page itself). It shows an
identifiable person: publish no frame.

In `$MMGEN_DATA/grid_s1`: `clips/<id>.mp4` and `alignments/<id>.align` (lines `start end word`, 25,000 units a second).
The clips of the corpus are 360×288 MPEG-1: crop each to a square about the face and re-encode it, for example by
`ffmpeg -i bbaf2n.mpg -vf crop=W:W:X:Y,scale=96:96 -ar 16000 -ac 1 clips/bbaf2n.mp4`. All clips are decoded once, with
the configured frames, size and rate, into the cache (half a minute on one core).

Five clips have 74 frames instead of 75: their frames are 1.3 % closer in time, and their sound ends with zeros. Some
clips were damaged before they were re-encoded; their frames are valid, so no decoder reports the damage. Eleven clips
begin with 12 grey frames: `warnings` finds these clips by the jump to the first picture, and `mmgen check-data` lists
them. `sgib8n` is said to have a damaged block, but no statistic of its frames is unusual among the thousand clips. All
clips are kept.

Splits: `local.split_of` of the clip's id, 778 train, 111 validation, 111 test; all sentences differ.
"""

from __future__ import annotations

import dataclasses
import pathlib
from typing import ClassVar

import numpy as np

from mmgen_jax.config.ranges import Seconds, Side, Size
from mmgen_jax.data import local
from mmgen_jax.modalities import text, tokenizer
from mmgen_jax.modalities.audio import read_sound
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.video import read

SECONDS = 3.0
# A larger mean difference of successive frames, in levels of 255, marks a damaged clip: with 16 frames, damaged clips
# have at least 41 and all others at most 20. With fewer than 12 frames, undamaged frames may differ as much.
JUMP, MIN_FRAMES = 30, 12
SILENCE = ("sil", "sp")
GRAMMAR = {
    "command": ("bin", "lay", "place", "set"),
    "color": ("blue", "green", "red", "white"),
    "preposition": ("at", "by", "in", "with"),
    "letter": tuple("abcdefghijklmnopqrstuvxyz"),  # the grammar has no w, the only letter of several syllables
    "digit": ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    "adverb": ("again", "now", "please", "soon"),
}
TOKENIZER = tokenizer.build((word for words in GRAMMAR.values() for word in words), open=False)
CHARACTERS = tokenizer.build(("abcdefghijklmnopqrstuvwxyz ",), "character", open=False)
LONGEST = 31  # characters of the longest sentence
UNITS_PER_SECOND = 25_000  # of an alignment
BEFORE, AFTER = 0.05, 0.15  # seconds of sound that `spoken_only` keeps around the words


@dataclasses.dataclass(kw_only=True)
class Source(local.LocalSource):
    """GRID, speaker 1.

    Args:
      split: `train`, `validation` or `test`.
      names: some of `text`, `image`, `audio`, `video` and the labels of the six places; () is all.
      directory: of the set; "" is `$MMGEN_DATA/grid_s1`.
      num_frames: frames of the video, over its 3 s; 1 to 75.
      image_size: side of video and image in pixels, 8 to 288.
      sample_rate: in Hz, 4,000 to 48,000; the clips have 16,000.
      text_length: ids of a sentence with END, at least 7 words or 32 characters.
      text_unit: `word` or `character`.
      spoken_only: whether the audio has the words alone.
      seconds: length of the audio, up to 3; longer sounds are cut at the end.
    """

    available: ClassVar[tuple[str, ...]] = ("text", "image", "audio", "video", *GRAMMAR)
    layout: ClassVar[tuple[str, ...]] = ("clips", "alignments")
    home: ClassVar[str] = "https://zenodo.org/records/3625687"
    # A mirrored, recoloured or larger face says the same sentence; a reversed clip does not.
    label_preserving: ClassVar[tuple[str, ...]] = ("flip", "hue", "zoom")
    grammar: ClassVar[tuple[tuple[str, ...], ...]] = tuple(GRAMMAR.values())  # the words at each place of a sentence

    num_frames: Size = 16
    image_size: Side = 48
    sample_rate: Size = 16_000
    text_length: Size = 8
    text_unit: str = "word"
    spoken_only: bool = False
    seconds: Seconds = SECONDS

    def _load(self) -> None:
        self.require("num_frames", "1 to 75", 1 <= self.num_frames <= 75)
        self.require("image_size", "8 to 288", 8 <= self.image_size <= 288)
        self.require("sample_rate", "4000 to 48000", 4000 <= self.sample_rate <= 48000)
        self.require("text_unit", "word or character", self.text_unit in ("word", "character"))
        least = len(GRAMMAR) + 1 if self.text_unit == "word" else LONGEST + 1
        self.require("text_length", f"{least} or more", self.text_length >= least)
        self.require("seconds", f"above 0, to {SECONDS:g}", 0 < self.seconds <= SECONDS)
        frame = (self.image_size, self.image_size, 3)
        num_samples = round(SECONDS * self.sample_rate)
        video = Modality("video", (self.num_frames, *frame), frame_rate=self.num_frames / SECONDS)
        audio = Modality("audio", (round(self.seconds * self.sample_rate),), sample_rate=self.sample_rate)
        whole = dataclasses.replace(audio, shape=(num_samples,))
        files = sorted((self.root / "clips").glob("*.mp4"))
        aligned = [self._words(self.root / "alignments" / f"{file.stem}.align") for file in files]
        sentences = [" ".join(word for _, _, word in words) for words in aligned]
        self._spoken = [(words[0][0] - BEFORE, words[-1][1] + AFTER) for words in aligned]  # seconds
        self.ids = [file.stem for file in files]
        self._rows = local.rows_of(self.split, self.ids)
        if {"video", "image"} & set(self.names):
            self._columns["video"] = self._decoded("video", files, video, lambda path: read(path, video.shape))
        if "audio" in self.names:
            self._columns["audio"] = self._decoded(
                "audio", files, whole, lambda path: read_sound(path, num_samples, self.sample_rate)
            )
        self.modalities = {"image": Modality("image", frame), "video": video, "audio": audio}
        for place, (name, words) in enumerate(GRAMMAR.items()):
            self.modalities[name] = Modality("label", classes=words)
            self._columns[name] = np.array([words.index(sentence.split()[place]) for sentence in sentences], np.int32)
        self.modalities["text"], self._columns["text"] = self._texts(
            "text", sentences, TOKENIZER if self.text_unit == "word" else CHARACTERS, self.text_length
        )

    def _values(self, name: str, rows: np.ndarray) -> np.ndarray:
        if name == "audio":
            return self._sound(super()._values(name, rows), rows)
        if name != "image":
            return super()._values(name, rows)
        arrays, field = self._columns["video"]
        return local.to_float(arrays[field][rows, self.num_frames // 2])

    def _sound(self, sounds: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Whole sounds `[B, S]`, cut to the words with `spoken_only`, and to `seconds`."""
        length = self.modalities["audio"].shape[0]
        if not self.spoken_only:
            return sounds[:, :length]
        spoken = np.zeros((len(sounds), length), np.float32)
        for sound, row, into in zip(sounds, rows, spoken):
            start, stop = (max(0, round(seconds * self.sample_rate)) for seconds in self._spoken[row])
            into[: min(length, len(sound[start:stop]))] = sound[start:stop][:length]
        return spoken

    def warnings(self) -> list[str]:
        """One line for each clip of the split with a jump between frames that suggests damage; the clips are kept."""
        if "video" not in self.names or self.num_frames < MIN_FRAMES:
            return []
        arrays, field = self._columns["video"]
        found = []
        for row in self._rows:
            jumps = np.abs(np.diff(arrays[field][row].astype(np.int16), axis=0)).mean((1, 2, 3))
            if jumps.max() > JUMP:
                found.append(
                    f"clips/{self.ids[row]}.mp4: video: frame {jumps.argmax() + 1} of {self.num_frames} differs from "
                    f"the one before by {jumps.max():.0f} levels, expected at most {JUMP}; look whether it is damaged"
                )
        return found

    def _words(self, path: pathlib.Path) -> list[tuple[float, float, str]]:
        """`(start, end, word)` of the words of an alignment, in seconds."""
        lines = [line.split() for line in text.read(path).splitlines()]
        found = [line for line in lines if len(line) == 3 and line[2] not in SILENCE]
        words = [word for _, _, word in found]
        fits = len(words) == len(GRAMMAR) and all(word in of for word, of in zip(words, GRAMMAR.values()))
        if not fits or not all(time.isdecimal() for line in found for time in line[:2]):
            expected = "lines `start end word` with a sentence of the GRID grammar"
            raise self.error(path, "text", "words", expected, repr(" ".join(words)), "fetch it again")
        return [(int(start) / UNITS_PER_SECOND, int(end) / UNITS_PER_SECOND, word) for start, end, word in found]
