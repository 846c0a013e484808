"""Tokenizers: text to ids and back.

Id 0 is padding; it is also the first input of an autoregressive model (the start of the shifted sequence). Id 1 ends a
text. Id 2 stands for a word outside the vocabulary, where the tokenizer allows such words. The ids of the vocabulary
follow.
"""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from mmgen_jax.errors import InputError, TextError

PADDING, END, UNKNOWN = 0, 1, 2
NUM_SPECIAL = 3
UNITS = ("word", "character", "byte")

# _WORD reads a text in which MARK replaces every mark and HAN every Han character: a word, or one other character.
MARK, HAN = "\u0300", "\u3002"
_WORD = re.compile(rf"(?:[\w'-]{MARK}*|(?<=[\w{MARK}])’(?=\w))+|[^\w\s]{MARK}*")
_HAN = re.compile("[\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_SPACED_HAN = re.compile(rf"(?<={_HAN.pattern}) (?={_HAN.pattern})")
_JOINERS = "\u200c\u200d"  # stand inside words, of Persian and Hindi for instance


@dataclasses.dataclass(frozen=True)
class Tokenizer:
    """Turns text into `[length] int32` and back.

    Args:
      unit: the piece of text that one id stands for: `word`, `character` or `byte`.
      vocabulary: the words or characters, in id order; empty for bytes.
      open: whether a unit outside the vocabulary becomes `UNKNOWN` (True) or is refused (False).
    """

    unit: str
    vocabulary: tuple[str, ...] = ()
    open: bool = False
    _ids: dict[str, int] = dataclasses.field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self):
        if self.unit not in UNITS:
            raise InputError(f"tokenizer unit {self.unit!r} does not exist; the units are {', '.join(UNITS)}")
        self._ids.update({unit: NUM_SPECIAL + i for i, unit in enumerate(self.vocabulary)})
        if len(self._ids) < len(self.vocabulary):
            twice = next(unit for i, unit in enumerate(self.vocabulary) if self._ids[unit] != NUM_SPECIAL + i)
            raise InputError(f"tokenizer vocabulary: expected each {self.unit} once, got {twice!r} twice; remove one")

    @property
    def vocab_size(self) -> int:
        return NUM_SPECIAL + (256 if self.unit == "byte" else len(self.vocabulary))

    def split(self, text: str) -> list[Any]:
        return split(text, self.unit)

    def join(self, units: Sequence[Any]) -> str:
        """The text of some consecutive units of `split`; a character with missing bytes is dropped."""
        if self.unit == "byte":
            return bytes(units).decode("utf-8", errors="ignore")
        return _joined(units) if self.unit == "word" else "".join(units)

    def unknown(self, text: str) -> list[str]:
        """The units of a text that are not in the vocabulary."""
        return [] if self.unit == "byte" else [unit for unit in self.split(text) if unit not in self._ids]

    def encode(self, text: str, length: int) -> np.ndarray:
        """`[length] int32`: the text's ids, END, padding.

        Raises:
          TextError: the text has a unit that a closed vocabulary lacks, or is longer than `length - 1` units.
        """
        units = self.split(text)
        if self.unit == "byte":
            ids = [NUM_SPECIAL + byte for byte in units]
        else:
            missing = self.unknown(text)
            if missing and not self.open:
                known = self.vocabulary if len(self.vocabulary) <= 100 else (*self.vocabulary[:100], "…")
                raise TextError(
                    f"text {_quoted(text)}: {self.unit} {missing[0]!r} is not in the vocabulary; it has: "
                    + " ".join(unit if unit.isprintable() else repr(unit) for unit in known)
                )
            ids = [self._ids.get(unit, UNKNOWN) for unit in units]
        if len(ids) >= length:
            raise TextError(
                f"text {_quoted(text)}: expected at most {length - 1} {self.unit}s, got {len(ids)}; shorten it or "
                "train with a larger text length"
            )
        encoded = np.zeros(length, np.int32)
        encoded[: len(ids) + 1] = [*ids, END]
        return encoded

    def decode(self, ids: Iterable[int]) -> str:
        """The text up to END or the first padding; an id outside the vocabulary reads as `?`."""
        units = []
        for i in map(int, ids):
            if i in (PADDING, END):
                break
            units.append(i - NUM_SPECIAL)
        if self.unit == "byte":
            return bytes(u if 0 <= u < 256 else ord("?") for u in units).decode("utf-8", errors="replace")
        words = [self.vocabulary[u] if 0 <= u < len(self.vocabulary) else "?" for u in units]
        return "".join(words) if self.unit == "character" else _joined(words)

    def to_dict(self) -> dict:
        return {"unit": self.unit, "vocabulary": list(self.vocabulary), "open": self.open}


def from_dict(fields: dict) -> Tokenizer:
    """The tokenizer that `Tokenizer.to_dict` wrote."""
    return Tokenizer(fields["unit"], tuple(fields["vocabulary"]), fields["open"])


def _joined(words: Sequence[str]) -> str:
    """Words with spaces between them, but not between two Han characters."""
    return _SPACED_HAN.sub("", " ".join(words))


def split(text: str, unit: str) -> list[Any]:
    """The units of a text: words and single punctuation marks, characters, or values of UTF-8 bytes.

    A word is a run of letters with their marks, digits, `_`, `-` and `'`, in lower case and in Unicode's composed form
    (NFC). `’` between letters is read as `'`. Each Han character is a word; other scripts without spaces are not
    divided, so a run of Thai or Japanese kana is one word. For characters and bytes, the text is not changed.

    Raises:
      TextError: for bytes, a text with half of a surrogate pair.
    """
    if unit == "word":
        return _words(text)
    if unit == "character":
        return list(text)
    try:
        return list(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise TextError(
            f"text {_quoted(text)}: expected Unicode text, got half of a surrogate pair ({error})"
        ) from None


def _words(text: str) -> list[str]:
    if text.isascii():
        return _WORD.findall(text.lower())
    # `İ` in lower case is an i with a second dot.
    text = unicodedata.normalize("NFC", re.sub("i\u0307+", "i", unicodedata.normalize("NFD", text.lower())))
    words = _WORD.finditer("".join(map(_sort, text)))
    return [re.sub("(?<=.)’", "'", text[word.start() : word.end()]) for word in words]


def _sort(character: str) -> str:
    """MARK for a mark, HAN for a Han character, else the character itself."""
    if character in _JOINERS or unicodedata.category(character).startswith("M"):
        return MARK
    return HAN if _HAN.match(character) else character


def build(texts: Iterable[str], unit: str = "word", open: bool = True, min_count: int = 1) -> Tokenizer:
    """A tokenizer; its vocabulary is every unit that stands in `texts` at least `min_count` times, sorted."""
    counts: dict[str, int] = {}
    if unit != "byte":
        for text in texts:
            for word in split(text, unit):
                counts[word] = counts.get(word, 0) + 1
    return Tokenizer(unit, tuple(sorted(word for word, n in counts.items() if n >= min_count)), open)


def synonym_table(tokenizer: Tokenizer, groups: Iterable[Iterable[str]]) -> np.ndarray:
    """`[V, K] int32`: for each id of the vocabulary, the other ids of its group of synonyms, then padding.

    Raises:
      TextError: a word is not a single id of the tokenizer, or is in two groups.
    """
    others: dict[int, list[int]] = {}
    for group in groups:
        ids = [tokenizer.encode(word, 2 + len(word))[:2].tolist() for word in group]
        for word, (i, following) in zip(group, ids):
            if i in (PADDING, END, UNKNOWN) or following != END or i in others:
                raise TextError(
                    f"synonyms: expected {word!r} to be one {tokenizer.unit} of the vocabulary, in one group"
                )
            others[i] = [other for other, _ in ids if other != i]
    table = np.zeros((tokenizer.vocab_size, max(map(len, others.values()), default=1) or 1), np.int32)
    for i, row in others.items():
        table[i, : len(row)] = row
    return table


def _quoted(text: str) -> str:
    """The text in quotes on one line, for messages; a text above 80 characters is cut."""
    return repr(text) if len(text) <= 80 else repr(text[:80]) + "…"
