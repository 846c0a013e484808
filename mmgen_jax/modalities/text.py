"""The kind `text`: token ids `[L]` int32 in [0, vocab_size); zeros are padding. Also reads and checks text files."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from absl import logging

from mmgen_jax.errors import DataError, InputError
from mmgen_jax.modalities import base, containers
from mmgen_jax.modalities.lines import decoded, save_lines
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.space import Discrete
from mmgen_jax.modalities.tokenizer import END, PADDING, UNKNOWN, Tokenizer, synonym_table

MAX_TEXT_BYTES = 2**16  # of a file with one text
MAX_PROMPTS_BYTES = 2**24  # of a file of prompts


@dataclasses.dataclass(frozen=True)
class Kind(base.Base):
    """Files: `.txt` or `.caption` in UTF-8, or in UTF-16 with its byte order mark, one text per line; `.json` with a
    string, a list, or an object with `text` or `caption(s)`.

    On the command line, a text is given directly, or as `@file` with one text per line. Samples: `<step>_<name>.txt`,
    one line per example; with images or videos among the conditions, also a grid of these with the texts.

    Augmentation: the meaning of each operation's strength:

        drop        probability that a word is left out; the words after it move up
        unknown     probability that a word becomes `UNKNOWN`
        synonym     probability that a word of a group of `synonyms` is replaced by another word of the group
    """

    ranks: ClassVar[tuple[int, ...]] = (1,)
    dtype: ClassVar[type] = np.int32
    suffixes: ClassVar[tuple[str, ...]] = (".txt", ".json", ".caption")
    inline: ClassVar[tuple[type, ...]] = (str, list)
    has_vocabulary: ClassVar[bool] = True
    operations: ClassVar[Mapping[str, float]] = {"drop": 1, "unknown": 1, "synonym": 1}

    @classmethod
    def of_folder(cls, fields, entries: base.Entries) -> Modality:
        """The modality without a tokenizer; the source builds the tokenizer from the training texts."""
        return Modality("text", (fields.text_length,))

    @classmethod
    def of_array(cls, fields, name: str, values: np.ndarray, about: Mapping[str, Any]) -> tuple[Modality, np.ndarray]:
        """Strings `[N]`, or `[N, K]`: up to K texts of each example, empty strings where it has fewer."""
        if values.dtype.kind != "U" or values.ndim not in (1, 2):
            got, advice = f"{values.dtype} {list(values.shape)}", "give one string, or K strings, for each example"
            raise DataError(fields.file, name, "shape", "[N] or [N, K] strings", got, advice)
        return Modality("text", (fields.text_length,)), values

    @property
    def space(self) -> Discrete:
        return Discrete(self.modality.shape[0], self.modality.vocab_size, END)

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the modality.

        Raises:
          InputError: the modality has no tokenizer, so its ids have no words.
        """
        if self.modality.tokenizer is None:
            raise InputError("a text without a tokenizer has ids but no words; set `tokenizer` of its Modality")
        return self.modality.tokenizer

    @classmethod
    def read_texts(cls, path, name: str) -> tuple[str, ...]:
        """Every text of a file: the texts in a .json, or the lines of another file that are not blank."""
        if pathlib.Path(path).suffix.lower() == ".json":
            return _captions(path, name, _decoded(path, name, MAX_TEXT_BYTES))
        lines = check_text(path, name, _decoded(path, name, MAX_TEXT_BYTES)).splitlines()
        return tuple(line.strip() for line in lines if line.strip())

    @classmethod
    def read_whole(cls, path, name: str) -> str:
        """All of a file as one text."""
        return read(path, name)

    def read_file(self, path, name: str) -> tuple[str, ...]:
        return self.read_texts(path, name)

    def read_inline(self, value: str | Sequence[str], where: str, name: str) -> tuple[str, ...]:
        return _all_texts(where, name, value)

    def read_given(self, value: Any, name: str) -> list[np.ndarray]:
        """The ids `[L]` of each given text. Words outside an open vocabulary become `UNKNOWN` and are logged.

        Raises:
          TextError: a word outside a closed vocabulary, or a text that is too long.
          DataError: a file of prompts that cannot be read.
        """
        if not isinstance(value, str):
            raise InputError(f"{name}: expected a text, or @FILE with one a line, got {value!r}")
        texts = [value]
        if value.startswith("@"):
            texts = [check_text(where, name, line) for where, line in prompts(value[1:], name)]
        tokenizer, length = self.tokenizer, self.modality.shape[0]
        encoded = [tokenizer.encode(text, length) for text in texts]
        if unknown := dict.fromkeys(word for text in texts for word in tokenizer.unknown(text)):
            logging.warning("%s: words that the model does not know, and reads as one: %s", name, ", ".join(unknown))
        return encoded

    def words(self, value: np.ndarray) -> str:
        return self.tokenizer.decode(value)

    def describe(self, name: str, value: np.ndarray) -> str:
        return self.words(value)

    def save(
        self, stem: pathlib.Path, name: str, samples: np.ndarray, captions: Sequence[str], seen: Mapping[str, Any]
    ) -> list[pathlib.Path]:
        return save_lines(stem, [self.words(value) for value in samples], captions, seen)

    def statistics(self) -> Statistics:
        return Statistics(self.modality)

    def check_augmentation(self, where: str, operation: str, strength: Any, settings: Mapping[str, Any]) -> None:
        if operation == "synonyms":
            synonym_table(self.tokenizer, strength)
            return
        super().check_augmentation(where, operation, strength, settings)
        if operation == "synonym" and strength and not settings.get("synonyms"):
            raise InputError(f"{where}: needs {where}s, groups of words such as (('big', 'large'),)")

    def augment(self, settings: Mapping[str, Any], example, key):
        from mmgen_jax.modalities import augmentation

        table = synonym_table(self.tokenizer, settings["synonyms"]) if settings.get("synonym") else None
        return augmentation.words(example, settings, key, table)


class Statistics(base.Statistics):
    """Range and mean of the lengths without END, and the number of words outside the vocabulary."""

    unknown = 0

    def add(self, values: np.ndarray) -> None:
        self.unknown += int((values == UNKNOWN).sum())
        super().add(((values != PADDING) & (values != END)).sum(1))

    def __str__(self) -> str:
        unit = self.modality.tokenizer.unit if self.modality.tokenizer else "id"
        return f"{self.spread} {unit}s, {self.unknown} unknown; vocabulary {self.modality.vocab_size}"


def read(path, modality: str = "text") -> str:
    """The text of a file (see `Kind`), without white space at its ends.

    Several captions are joined by line breaks.

    Raises:
      DataError: the file is unreadable, of another encoding, empty, larger than `MAX_TEXT_BYTES`, or other JSON.
    """
    content = _decoded(path, modality, MAX_TEXT_BYTES)
    if pathlib.Path(path).suffix.lower() == ".json":
        content = "\n".join(_captions(path, modality, content))
    return check_text(path, modality, content)


def _decoded(path, modality: str, max_bytes: int) -> str:
    containers.check(path, modality)
    data = pathlib.Path(path).read_bytes()
    if len(data) > max_bytes:
        raise DataError(path, modality, "length", f"at most {max_bytes} bytes", len(data), "shorten it")
    try:
        return decoded(data)
    except UnicodeDecodeError as error:
        got = f"byte 0x{error.object[error.start]:02x} at {error.start}"
        raise DataError(path, modality, "encoding", "UTF-8", got, "save it as UTF-8") from error


def prompts(path: str, name: str) -> list[tuple[str, str]]:
    """The lines of a file that are not blank, each with its place as `FILE:3`."""
    path = os.path.expanduser(path)
    lines = [line.strip() for line in _decoded(path, name, MAX_PROMPTS_BYTES).splitlines()]
    if not any(lines):
        raise DataError(path, name, "lines", "one value a line", "blank lines alone", "write one")
    return [(f"{path}:{number}", line) for number, line in enumerate(lines, 1) if line]


def check_text(path, modality: str, content: str) -> str:
    """The text without white space at its ends.

    Raises:
      DataError: the text is empty, or holds a NUL or half of a surrogate pair.
    """
    if "\0" in content or any("\ud800" <= character <= "\udfff" for character in content):
        raise DataError(
            path, modality, "encoding", "text", "a NUL or half of a surrogate pair", "save it as UTF-8 text"
        )
    if not content.strip():
        raise DataError(path, modality, "length", "at least 1 character", "an empty text", "write one or remove it")
    return content.strip()


def _captions(path, modality: str, content: str) -> tuple[str, ...]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(path, modality, "json", "valid JSON", str(error), "mend it") from error
    if isinstance(value, dict):
        value = next((value[key] for key in ("text", "caption", "captions") if key in value), None)
    if value is None or not (isinstance(value, str) or _is_list_of_strings(value)):
        raise DataError(path, modality, "json", "a string, or an object with `text`", type(value).__name__, "mend it")
    return _all_texts(path, modality, value)


def _is_list_of_strings(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) > 0 and all(isinstance(text, str) for text in value)


def _all_texts(where, name: str, value: str | Sequence[str]) -> tuple[str, ...]:
    """One text or several, each checked."""
    if not (isinstance(value, str) or _is_list_of_strings(value)):
        got = f"{json.dumps(value)[:40]}"
        raise DataError(where, name, "value", "a string or a list of strings", got, "mend it")
    return tuple(check_text(where, name, text) for text in ([value] if isinstance(value, str) else value))
