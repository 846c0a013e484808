"""ABC notation: the notes of one voice and the words of its first verse.

Covers the part of the standard (abcnotation.com, version 2.1) that hymnals use: key signatures with modes, accidentals
up to the end of the bar, lengths, dotted pairs, tuplets, ties, rests, chords, tempo, unit length, voices and aligned
words. Departures from the standard:

- A chord counts as its highest note, so a voice is one melody.
- Repeats are not played: in a hymn they stand for the next verse. Of alternative endings the first is played.
- Grace notes, a second voice in a bar (`&`), slurs, fermatas and other decorations take no time.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NoReturn

from mmgen_jax.errors import AbcError

FIFTHS = {letter: i - 1 for i, letter in enumerate("FCGDAEB")}  # sharps of the major key on the letter
SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
MODES = {"maj": 0, "ion": 0, "": 0, "min": -3, "m": -3, "aeo": -3, "mix": -1, "dor": -2, "phr": -4, "lyd": 1, "loc": -5}
ACCIDENTALS = {"^": 1, "^^": 2, "_": -1, "__": -2, "=": 0}
TUPLETS = {2: 3, 3: 2, 4: 3, 5: 2, 6: 2, 7: 2, 8: 3, 9: 2}  # p notes in the time of q, where q is not given

_LENGTH = r"(\d*)(/*)(\d*)"
_NOTE = re.compile(r"(\^\^|\^|__|_|=)?([A-Ga-g])([,']*)" + _LENGTH)
_TOKEN = re.compile(
    r"""(?P<skip>\s+|"[^"]*"|![^!]*!|\{[^}]*\}|y\d*|\.?\((?!\d)[,']?|\)|[.~HLMOPSTuv`$\\](?!-))
    |(?P<ending>\["[^"]*"|\[\d[\d,-]*|:*\|\d[\d,-]*)
    |\[(?P<field>[A-Za-z]):(?P<value>[^\]]*)\]
    |(?P<bar>[:|]*\|[:|\]]*|::|\[\|)
    |\((?P<tuplet>\d(?::\d?){0,2})
    |\[(?P<chord>[^\]]*)\](?P<chord_length>\d*/*\d*)
    |(?P<note>(?:\^\^|\^|__|_|=)?[A-Ga-g][,']*\d*/*\d*)
    |(?P<rest>[zx]\d*/*\d*)
    |(?P<tie>\.?-)
    |(?P<broken>>+|<+)
    |(?P<overlay>&)
    """.replace("\n    ", ""),
)


@dataclasses.dataclass(frozen=True)
class Note:
    """A note of MIDI number `pitch` (60 is middle C), or a rest where `pitch` is None; `seconds` long."""

    pitch: int | None
    seconds: float


@dataclasses.dataclass(frozen=True)
class Melody:
    """The notes of a voice, and the length of each of its bars in whole notes."""

    notes: tuple[Note, ...]
    bars: tuple[Fraction, ...]


@dataclasses.dataclass(frozen=True)
class Tune:
    """Args:
    fields: of the header, each with all its lines: `{"T": [title, …], "K": ["G"], …}`.
    lines: of the body: (voice, music or field, its lines of words, one per verse).
    """

    fields: dict[str, list[str]]
    lines: list[tuple[str, str, list[str]]]

    @property
    def title(self) -> str:
        return self.fields["T"][0]

    @property
    def voices(self) -> list[str]:
        """The voices that have music, in order of appearance."""
        return list(dict.fromkeys(voice for voice, _, _ in self.lines if voice))


def tunes(text: str) -> Iterator[Tune]:
    """The tunes of a file; each starts with its `X:` field."""
    for part in re.split(r"(?m)^(?=X:)", text)[1:]:
        fields: dict[str, list[str]] = {}
        lines: list[tuple[str, str, list[str]]] = []
        voice, hidden = "", False
        for line in part.splitlines():
            if line.startswith(("%%begin", "%%end")):  # a block of text or PostScript
                hidden = line.startswith("%%begin")
            line = re.sub(r"(?<!\\)%.*", "", line).strip()
            if hidden or not line:
                continue
            field, value = (line[0], line[2:].strip()) if re.match(r"[A-Za-z]:(?![|:])", line) else ("", "")
            if "K" not in fields:
                fields.setdefault(field, []).append(value)
                continue
            if start := re.match(r"\[?V:\s*([^\s\]]+)[^\]]*(\]|$)", line):
                voice, line = start[1], line[start.end() :].strip()
                field = ""
            if field == "w":
                if lines:
                    lines[-1][2].append(value)
            elif field in ("K", "L", "Q"):
                lines.append(("", f"[{line}]", []))
            elif not field and line:
                lines.append((voice, line, []))
        yield Tune(fields, lines)


def melody(tune: Tune, voice: str) -> Melody:
    """The notes of a voice.

    Raises:
      AbcError: the music, key, unit length or tempo of the voice cannot be parsed.
    """
    player = _Player(tune, voice)
    for where, music, _ in tune.lines:
        if where in (voice, ""):
            player.play(music)
    return player.melody()


def first_verse(tune: Tune, voice: str) -> str:
    """The words under a voice's music, in plain spelling: the first verse, and the parts that all verses share."""
    words = " ".join(verses[0] for where, _, verses in tune.lines if where == voice and verses)
    words = re.sub(r"(?<!\S)\d+\.[~\s]*", " ", words.replace("`", "'"))  # the number of the verse
    words = re.sub(r"(?<!\\)[*_|]", " ", words)  # a syllable that goes on, or one that is left out
    words = re.sub(r"(?<!\\)-[-\s]*", "", words)
    # An escaped hyphen belongs to the text: in a compound word, or as a dash.
    words = re.sub(r"(?<=[,;:.])\\-", "", words)
    words = re.sub(r"\\-\s+(?![a-z])", " — ", words)
    words = re.sub(r"\\-\s*", "-", words)
    return " ".join(words.replace("~", " ").split())


class _Player:
    """The settings made by the music read so far, and the notes of this music."""

    def __init__(self, tune: Tune, voice: str):
        self.where = f"{tune.fields.get('X', [''])[0]} {tune.title!r}, voice {voice}"
        self.unit = Fraction(1, 8)
        self.whole = 2.0  # seconds of a whole note: 120 quarters a minute
        self.signature: dict[str, int] = {}
        self.accidentals: dict[tuple[str, int], int] = {}
        self.notes: list[list] = []  # [pitch or None, length in whole notes, seconds of a whole note]
        self.bars: list[Fraction] = [Fraction(0)]
        self.tuplet = (Fraction(1), 0)  # factor, notes to go
        self.factor = Fraction(1)  # of the next note, after > or <
        self.last: tuple[str, int, int] | None = None  # letter, octave and pitch of the last note
        self.tied: tuple[str, int, int] | None = None  # `last`, where a tie follows it
        self.muted = False  # in a second voice up to the bar line
        self.other_ending = False
        for field in "LQK":
            for value in tune.fields.get(field, ())[:1]:
                self.set(field, value)

    def melody(self) -> Melody:
        notes = tuple(Note(pitch, float(length) * whole) for pitch, length, whole in self.notes)
        if not any(note.pitch is not None for note in notes):
            raise AbcError(f"{self.where}: expected notes, got none")
        return Melody(notes, tuple(bar for bar in self.bars if bar))

    def fail(self, expected: str, got: str) -> NoReturn:
        raise AbcError(f"{self.where}: expected {expected}, got {got!r}")

    def set(self, field: str, value: str) -> None:
        if field == "L":
            self.unit = self._fraction(value)
        elif field == "Q":
            if not (match := re.search(r"(\d+/\d+)\s*=\s*(\d+)", value)):
                self.fail("a tempo as in 1/4=120", value)
            self.whole = 60 / (int(match[2]) * float(self._fraction(match[1])))
        elif field == "K":
            match = re.match(r"([A-G])([#b]?)\s*([A-Za-z]*)", value)
            mode = match[3].lower()[:3] if match else None
            if not match or mode not in MODES:
                self.fail("a key as in G, Bb or F#min", value)
            fifths = FIFTHS[match[1]] + {"": 0, "#": 7, "b": -7}[match[2]] + MODES[mode]
            order = "FCGDAEB" if fifths > 0 else "BEADGCF"
            self.signature = {letter: (1 if fifths > 0 else -1) for letter in order[: abs(fifths)]}

    def _fraction(self, value: str) -> Fraction:
        try:
            return Fraction(value.replace(" ", ""))
        except (ValueError, ZeroDivisionError):
            self.fail("a fraction", value)

    def play(self, music: str) -> None:
        at = 0
        while at < len(music):
            token = _TOKEN.match(music, at)
            if not token:
                self.fail("music", music[at : at + 20])
            at = token.end()
            kind, text = token.lastgroup, token[0]
            if kind == "value":
                self.set(token["field"], token["value"].strip())
            elif kind == "ending":
                self.bar("|")
                self.other_ending = "1" not in re.findall(r"\d+", text.split("-")[0])
            elif kind == "bar":
                self.bar(text)
            elif self.muted or self.other_ending or kind == "skip":
                continue
            elif kind == "overlay":
                self.muted = True
            elif kind == "tuplet":
                p, *rest = text[1:].split(":")
                q, r = (int(number) if number else 0 for number in (rest + ["", ""])[:2])
                if int(p) not in TUPLETS:
                    self.fail("a tuplet of 2 to 9", text)
                self.tuplet = (Fraction(q or TUPLETS[int(p)], int(p)), r or int(p))
            elif kind == "tie":
                self.tied = self.last
            elif kind == "broken":
                self.broken(text)
            elif kind == "rest":
                self.add(None, _length(*_groups("." + _LENGTH, text)))
                self.tied = self.last = None
            elif kind == "note":
                groups = _groups(_NOTE, text)
                self.sound(self.pitch(*groups[:3]), _length(*groups[3:]))
            else:
                self.chord(token["chord"], _length(*_groups(_LENGTH, token["chord_length"])))

    def bar(self, text: str) -> None:
        self.accidentals.clear()
        self.muted = False
        if self.other_ending and ("|]" in text or "||" in text):
            self.other_ending = False
        self.bars.append(Fraction(0))

    def broken(self, text: str) -> None:
        if not self.notes:
            self.fail("a note before it", text)
        small = Fraction(1, 2 ** len(text))
        before, after = (2 - small, small) if text[0] == ">" else (small, 2 - small)
        self.bars[-1] += self.notes[-1][1] * (before - 1)
        self.notes[-1][1] *= before
        self.factor = after

    def chord(self, inside: str, factor: Fraction) -> None:
        found = list(_NOTE.finditer(inside))
        if not found or re.sub(r'"[^"]*"|![^!]*!|[-.\s()]', "", _NOTE.sub("", inside)):
            self.fail("a chord of notes", f"[{inside}]")
        pitches = [self.pitch(*note.groups()[:3]) for note in found]
        highest = max(range(len(found)), key=lambda i: pitches[i][2])
        length = _length(*found[0].groups()[3:]) * factor
        self.sound(pitches[highest], length)
        if "-" in inside:
            self.tied = self.last

    def pitch(self, accidental: str | None, letter: str, marks: str) -> tuple[str, int, int]:
        """Letter, octave and MIDI number; an accidental stays for the letter in its octave up to the bar line."""
        octave = 5 + letter.islower() + marks.count("'") - marks.count(",")
        key = (letter.upper(), octave)
        if accidental:
            self.accidentals[key] = ACCIDENTALS[accidental]
        elif self.tied and self.tied[:2] == key:
            return self.tied  # a tie carries the accidental over the bar line
        shift = self.accidentals.get(key, self.signature.get(key[0], 0))
        return (*key, 12 * octave + SEMITONES[key[0]] + shift)

    def sound(self, pitch: tuple[str, int, int], length: Fraction) -> None:
        """Adds a note, or lengthens the previous note where a tie joins the two."""
        joined = self.tied is not None and self.tied[2] == pitch[2]
        self.add(pitch[2], length, joined)
        self.tied, self.last = None, pitch

    def add(self, pitch: int | None, length: Fraction, joined: bool = False) -> None:
        length *= self.unit * self.factor
        self.factor = Fraction(1)
        if self.tuplet[1]:
            length *= self.tuplet[0]
            self.tuplet = (self.tuplet[0], self.tuplet[1] - 1)
        self.bars[-1] += length
        if joined:
            self.notes[-1][1] += length
        else:
            self.notes.append([pitch, length, self.whole])


def _groups(pattern: str | re.Pattern[str], text: str) -> tuple[Any, ...]:
    """The groups of a part that `_TOKEN` has matched."""
    match = re.fullmatch(pattern, text)
    assert match, f"{text!r} is not of the form that it was found by"
    return match.groups()


def _length(numerator: str, slashes: str, denominator: str) -> Fraction:
    return Fraction(int(numerator or 1), int(denominator) if denominator else 2 ** len(slashes))
