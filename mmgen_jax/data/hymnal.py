"""Hymnal: melodies, rendered to sound, with the words of their first verse.

- audio: the melody (the highest voice, of its chords the highest note) in a plucked, organ-like tone, from its start
  on; whole melodies last 14 to 82 s, half of them more than 32 s.
- text: the words of the first verse and of what all verses share, as printed under the melody: 26 to 74 words and marks
  for nine in ten hymns, 150 at most. The sound's first seconds are the text's first words.

Home: http://openhymnal.org, the Open Hymnal Project, as ABC notation: the whole hymnal's file as
`$MMGEN_DATA/hymnal/OpenHymnal.abc`. Left out: tunes whose `C:` lines do not place words, music and setting in the
public domain, which is 17 of the 292.

Parsed by `abc.py` (repeats are not played: they stand for the next verse) and rendered once, into the cache.

Splits: `local.split_of` of the number of the first hymn that shares the opening of its melody (14 notes, in any key) or
of its words (40 letters), so that neither is in two splits: of 275 hymns 217 train, 37 validation, 21 test. The
vocabulary is that of the training texts, and open: other words are `UNKNOWN`, which one in ten words of the others is.
"""

from __future__ import annotations

import dataclasses
import re
from typing import ClassVar

import numpy as np

from mmgen_jax.data import local
from mmgen_jax.data.cache import arrays, arrays_writer
from mmgen_jax.data.files import abc_notation
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.tokenizer import Tokenizer, build

FILE = "OpenHymnal.abc"
MELODY_VOICES = ("S1V1", "S1")  # of the first staff: the first of its voices, or its only one
HARMONICS = 1.0 / np.arange(1, 9) ** 1.3  # amplitudes
ATTACK, DECAY, RELEASE = 0.01, 1.5, 0.05  # seconds


def in_public_domain(tune: abc_notation.Tune) -> bool:
    """Whether its `C:` lines say so and name no copyright of a part."""
    rights = "\n".join(tune.fields.get("C", ()))
    return "public domain" in rights and not re.search(r"Copyright \d|may be freely", rights)


def melody_voice(tune: abc_notation.Tune) -> str:
    return next((voice for voice in MELODY_VOICES if voice in tune.voices), "")


def render(notes: tuple[abc_notation.Note, ...], num_samples: int, sample_rate: int) -> np.ndarray:
    """`[num_samples] float32` in [-1, 1]: harmonics below the Nyquist frequency, equal temperament, A4 = 440 Hz."""
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
      names: of `text`, `audio`; () is all.
      directory: of the set; "" is `$MMGEN_DATA/hymnal`.
      seconds: of the melody, from its start on.
      sample_rate: in Hz.
      text_length: units and END; a longer text loses its end.
      text_unit: `word`, `character` or `byte`.
    """

    available: ClassVar[tuple[str, ...]] = ("text", "audio")
    layout: ClassVar[tuple[str, ...]] = (FILE,)
    home: ClassVar[str] = "http://openhymnal.org"

    seconds: float = 8.0
    sample_rate: int = 16_000
    text_length: int = 96
    text_unit: str = "word"

    def _load(self) -> None:
        self.require("seconds", "above 0, to 120", 0 < self.seconds <= 120)
        self.require("sample_rate", "4000 to 48000", 4000 <= self.sample_rate <= 48000)
        self.require("text_length", "2 or more", self.text_length >= 2)
        self.require("text_unit", "word, character or byte", self.text_unit in ("word", "character", "byte"))
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
    """The intervals between its first 14 notes."""
    pitches = [note.pitch for note in melody.notes if note.pitch is not None][:14]
    return tuple(np.diff(pitches).tolist())


def _groups(names: list[str], *keys: list) -> list[str]:
    """For each item the name of the first that it is connected to by equal keys."""
    group = list(range(len(names)))
    for column in keys:
        first: dict = {}
        for i, key in enumerate(column):
            joined = {group[i], group[first.setdefault(key, i)]}
            group = [min(joined) if g in joined else g for g in group]
    return [names[g] for g in group]


def _cut(text: str, tokenizer: Tokenizer, length: int) -> str:
    return tokenizer.join(tokenizer.split(text)[:length])
