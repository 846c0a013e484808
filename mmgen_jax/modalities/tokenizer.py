"""Tokenisers: text to ids and back.

Id 0 is padding, and doubles as the first input of a shifted sequence; id 1 ends a text; id 2 is a word that the
vocabulary lacks, where the tokeniser allows such words. Ids of the vocabulary follow.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from mmgen_jax.errors import InputError, TextError

PADDING, END, UNKNOWN = 0, 1, 2
NUM_SPECIAL = 3

_WORD = re.compile(r"[\w'-]+|[^\w\s]")


@dataclasses.dataclass(frozen=True)
class Tokenizer:
    """Turns text into `[length] int32` and back.

    Args:
      unit: what one id stands for: `word`, `character` or `byte`.
      vocabulary: the words or characters, in id order; empty for bytes.
      open: whether a unit outside the vocabulary becomes `UNKNOWN` (True) or is refused (False).
    """

    unit: str
    vocabulary: tuple[str, ...] = ()
    open: bool = False
    _ids: dict[str, int] = dataclasses.field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self):
        if self.unit not in ("word", "character", "byte"):
            raise InputError(f"tokenizer unit {self.unit!r} does not exist; the units are word, character, byte")
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
        """The text of a part of what `split` gives; a character of which bytes are missing is dropped."""
        if self.unit == "byte":
            return bytes(units).decode("utf-8", errors="ignore")
        return (" " if self.unit == "word" else "").join(units)

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
        """The text up to END or the first padding; ids it does not know read as `?`."""
        units = []
        for i in map(int, ids):
            if i in (PADDING, END):
                break
            units.append(i - NUM_SPECIAL)
        if self.unit == "byte":
            return bytes(u if 0 <= u < 256 else ord("?") for u in units).decode("utf-8", errors="replace")
        words = [self.vocabulary[u] if 0 <= u < len(self.vocabulary) else "?" for u in units]
        return ("" if self.unit == "character" else " ").join(words)

    def to_dict(self) -> dict:
        return {"unit": self.unit, "vocabulary": list(self.vocabulary), "open": self.open}


def from_dict(fields: dict) -> Tokenizer:
    return Tokenizer(fields["unit"], tuple(fields["vocabulary"]), fields["open"])


def split(text: str, unit: str) -> list[Any]:
    """Lower-case words and single punctuation marks, characters, or the numbers of UTF-8 bytes."""
    if unit == "word":
        return _WORD.findall(text.lower())
    if unit == "character":
        return list(text)
    try:
        return list(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise TextError(
            f"text {_quoted(text)}: expected Unicode text, got half of a surrogate pair ({error})"
        ) from None


def build(texts: Iterable[str], unit: str = "word", open: bool = True, min_count: int = 1) -> Tokenizer:
    """The tokenizer whose vocabulary is every unit that `texts` hold at least `min_count` times, in sorted order."""
    counts: dict[str, int] = {}
    if unit != "byte":
        for text in texts:
            for word in split(text, unit):
                counts[word] = counts.get(word, 0) + 1
    return Tokenizer(unit, tuple(sorted(word for word, n in counts.items() if n >= min_count)), open)


def synonym_table(tokenizer: Tokenizer, groups: Iterable[Iterable[str]]) -> np.ndarray:
    """`[V, K] int32`: for each id the other ids of its group, then padding.

    Raises:
      TextError: a word that is no single id of the tokenizer, or that is in two groups.
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
    """The text on one line, its end left out where it is long."""
    return repr(text) if len(text) <= 80 else repr(text[:80]) + "…"
