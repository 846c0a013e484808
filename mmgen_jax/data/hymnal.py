"""Hymnal: melodies, rendered to sound, with the words of their first verse.

- audio: the first seconds of the melody (the highest voice; of a chord, its highest note) in a plucked, organ-like
  tone. Whole melodies last 14 to 82 s; half of them last more than 32 s.
- text: the words printed under the melody: the first verse, and the parts that all verses share. Nine in ten hymns have
  26 to 74 words and punctuation marks, the longest 150. The first seconds of the sound belong to the first words.

Home: http://openhymnal.org, the Open Hymnal Project. Put the file of the whole hymnal, in ABC notation, at
`$MMGEN_DATA/hymnal/OpenHymnal.abc`. Left out: 17 of the 292 tunes, whose `C:` lines do not place words, music and
setting in the public domain.

The file is parsed by `data/files/abc_notation.py` and rendered once, into the cache. Repeats are not played: they stand
for the next verse.

Splits: hymns that share the first 14 notes of the melody (in any key) or the first 40 letters of the words form a
group; `local.split_of` of the number of the group's first hymn gives the split, so that no melody or text is in two
splits: of 275 hymns 217 train, 37 validation, 21 test. The vocabulary is open, and built from the training texts; words
outside it become `UNKNOWN`: one word in ten of the validation and test splits.
"""

from __future__ import annotations

import dataclasses
import re
from typing import ClassVar

import numpy as np

from mmgen_jax.config.ranges import Seconds, Size
from mmgen_jax.data import local
from mmgen_jax.data.cache import arrays, arrays_writer
from mmgen_jax.data.files import abc_notation
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.tokenizer import UNITS, Tokenizer, build

FILE = "OpenHymnal.abc"
MELODY_VOICES = ("S1V1", "S1")  # the first voice of the first staff, or the only voice of the first staff
HARMONICS = 1.0 / np.arange(1, 9) ** 1.3  # amplitudes
ATTACK, DECAY, RELEASE = 0.01, 1.5, 0.05  # seconds


def in_public_domain(tune: abc_notation.Tune) -> bool:
    """Whether the `C:` lines of a tune place it in the public domain and name no copyright of a part."""
    rights = "\n".join(tune.fields.get("C", ()))
    return "public domain" in rights and not re.search(r"Copyright \d|may be freely", rights)


def melody_voice(tune: abc_notation.Tune) -> str:
    """The name of the voice with the melody; "" where the tune has none."""
    return next((voice for voice in MELODY_VOICES if voice in tune.voices), "")


def render(notes: tuple[abc_notation.Note, ...], num_samples: int, sample_rate: int) -> np.ndarray:
    """The waveform `[num_samples] float32` in [-1, 1] of some notes: sums of harmonics below the Nyquist frequency.

    Equal temperament, A4 = 440 Hz. Notes after `num_samples` are cut, shorter melodies end with silence.
    """
    waveform = np.zeros(num_samples)
    start = 0.0
    for note in notes:
        first, stop = (min(round(seconds * sample_rate), num_samples) for seconds in (start, start + note.seconds))
        start += note.seconds
        if note.pitch is None or first == stop:
            continue
        frequency = 440 * 2 ** ((note.pitch - 69) / 12)
        harmonic = np.arange(1, len(HARMONICS) + 1)[:, None]
        t = np.arange(stop - first) / sample_rate
        envelope = np.minimum(t / ATTACK, 1) * np.exp(-t / DECAY) * np.clip((note.seconds - t) / RELEASE, 0, 1)
        audible = (harmonic * frequency < sample_rate / 2) * HARMONICS[:, None]
        waveform[first:stop] = envelope * (audible * np.sin(2 * np.pi * frequency * harmonic * t)).sum(0)
    return (0.9 / HARMONICS.sum() * waveform).astype(np.float32)


@dataclasses.dataclass(kw_only=True)
class Source(local.LocalSource):
    """The hymnal.

    Args:
      split: `train`, `validation` or `test`.
      names: some of `text`, `audio`; () is all.
      directory: of the set; "" is `$MMGEN_DATA/hymnal`.
      seconds: length of the audio, from the start of the melody; up to 120.
      sample_rate: in Hz, 4,000 to 48,000.
      text_length: ids with END, at least 2; longer texts are cut at the end.
      text_unit: `word`, `character` or `byte`.
    """

    available: ClassVar[tuple[str, ...]] = ("text", "audio")
    layout: ClassVar[tuple[str, ...]] = (FILE,)
    home: ClassVar[str] = "http://openhymnal.org"

    seconds: Seconds = 8.0
    sample_rate: Size = 16_000
    text_length: Size = 96
    text_unit: str = "word"

    def _load(self) -> None:
        self.require("seconds", "above 0, to 120", 0 < self.seconds <= 120)
        self.require("sample_rate", "4000 to 48000", 4000 <= self.sample_rate <= 48000)
        self.require("text_length", "2 or more", self.text_length >= 2)
        self.require("text_unit", "word, character or byte", self.text_unit in UNITS)
        path = self.root / FILE
        try:
            tunes = [tune for tune in abc_notation.tunes(path.read_text(encoding="utf-8")) if in_public_domain(tune)]
        except UnicodeDecodeError as error:
            raise self.error(path, "text", "encoding", "UTF-8", error.reason, "fetch it again") from None
        melodies = [abc_notation.melody(tune, melody_voice(tune)) for tune in tunes]
        self.texts = [abc_notation.first_verse(tune, melody_voice(tune)) for tune in tunes]
        self.titles = [tune.title for tune in tunes]
        self.groups = _groups(
            [tune.fields["X"][0] for tune in tunes],
            [_opening(m) for m in melodies],
            [t[:40].lower() for t in self.texts],
        )
        self._rows = local.rows_of(self.split, self.groups)
        if "text" in self.names:
            training = (self.texts[row] for row in local.rows_of("train", self.groups))
            tokenizer = build(training, self.text_unit)
            cut = [_cut(text, tokenizer, self.text_length - 1) for text in self.texts]
            self.modalities["text"], self._columns["text"] = self._texts("text", cut, tokenizer, self.text_length)
        if "audio" in self.names:
            num_samples = round(self.seconds * self.sample_rate)
            self.modalities["audio"] = Modality("audio", (num_samples,), sample_rate=self.sample_rate)

            def write(writer: arrays_writer.Writer) -> None:
                for melody in melodies:
                    waveform = render(melody.notes, num_samples, self.sample_rate)
                    writer.extend({"audio": local.to_integer(waveform[None])})

            parameters = {"version": 1, "num_samples": num_samples, "sample_rate": self.sample_rate}
            self._columns["audio"] = arrays.cached("hymnal/audio", [path], parameters, write), "audio"


def _opening(melody: abc_notation.Melody) -> tuple[int, ...]:
    """The intervals between the first 14 notes of a melody, in semitones."""
    pitches = [note.pitch for note in melody.notes if note.pitch is not None][:14]
    return tuple(np.diff(pitches).tolist())


def _groups(names: list[str], *keys: list) -> list[str]:
    """For each item, the name of the first item of its group; items with an equal key are in one group.

    Args:
      names: one for each item.
      keys: lists with one key for each item.
    """
    group = list(range(len(names)))
    for column in keys:
        first: dict = {}
        for i, key in enumerate(column):
            joined = {group[i], group[first.setdefault(key, i)]}
            group = [min(joined) if g in joined else g for g in group]
    return [names[g] for g in group]


def _cut(text: str, tokenizer: Tokenizer, length: int) -> str:
    return tokenizer.join(tokenizer.split(text)[:length])
