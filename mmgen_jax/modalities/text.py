"""The kind `text`: token ids `[L]` int32 in [0, vocab_size); zeros are padding. Text files to checked strings."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from absl import logging

from mmgen_jax.errors import DataError, InputError
from mmgen_jax.modalities import base, containers
from mmgen_jax.modalities.lines import save_lines
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.space import Discrete
from mmgen_jax.modalities.tokenizer import END, PADDING, UNKNOWN, Tokenizer, synonym_table

MAX_TEXT_BYTES = 2**16  # of a file
MAX_PROMPTS_BYTES = 2**24  # of a file of prompts


@dataclasses.dataclass(frozen=True)
class Kind(base.Base):
    """Files: UTF-8 `.txt`, and `.json` with a string or an object's `text` or `caption`.

    Given as the text itself, or as `@file` with one text a line. Samples: `<step>_<name>.txt`, a line per example, and
    with conditions that can be seen a grid of them with the text.

    Augmentation, with the largest strengths:

        drop        probability of each word to be left out; what follows moves up
        unknown     probability of each word to become `UNKNOWN`
        synonym     probability of each word in one of the groups `synonyms` to become another one of it
    """

    ranks: ClassVar[tuple[int, ...]] = (1,)
    dtype: ClassVar[type] = np.int32
    suffixes: ClassVar[tuple[str, ...]] = (".txt", ".json")
    inline: ClassVar[type | None] = str
    has_vocabulary: ClassVar[bool] = True
    operations: ClassVar[Mapping[str, float]] = {"drop": 1, "unknown": 1, "synonym": 1}

    @classmethod
    def of_folder(cls, fields, entries: base.Entries) -> Modality:
        """Without a tokenizer: the source builds it from the training texts."""
        return Modality("text", (fields.text_length,))

    @property
    def space(self) -> Discrete:
        return Discrete(self.modality.shape[0], self.modality.vocab_size, END)

    @property
    def tokenizer(self) -> Tokenizer:
        """The modality's own.

        Raises:
          InputError: it has none, so its ids are no words.
        """
        if self.modality.tokenizer is None:
            raise InputError("a text without a tokenizer has ids but no words; set `tokenizer` of its Modality")
        return self.modality.tokenizer

    def read_file(self, path, name: str) -> str:
        return read(path, name)

    def read_inline(self, value: str, where: str, name: str) -> str:
        return check_text(where, name, value)

    def read_given(self, value: Any, name: str) -> list[np.ndarray]:
        """Logs the words that an open vocabulary lacks; a closed one refuses them."""
        texts = _prompts(value[1:], name) if value.startswith("@") else [value]
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
    """Range and mean of the lengths without END, and the words outside the vocabulary."""

    unknown = 0

    def add(self, values: np.ndarray) -> None:
        self.unknown += int((values == UNKNOWN).sum())
        super().add(((values != PADDING) & (values != END)).sum(1))

    def __str__(self) -> str:
        unit = self.modality.tokenizer.unit if self.modality.tokenizer else "id"
        return f"{self.spread} {unit}s, {self.unknown} unknown; vocabulary {self.modality.vocab_size}"


def read(path, modality: str = "text") -> str:
    """The text of a .txt file, or the caption of a .json file: a string, or an object's `text` or `caption`.

    UTF-8, with or without a byte order mark; white space at both ends is dropped.

    Raises:
      DataError: unreadable, not UTF-8, empty, more than MAX_TEXT_BYTES, or JSON of another form.
    """
    content = _decoded(path, modality, MAX_TEXT_BYTES)
    if pathlib.Path(path).suffix.lower() == ".json":
        content = _caption(path, modality, content)
    return check_text(path, modality, content)


def _decoded(path, modality: str, max_bytes: int) -> str:
    containers.check(path, modality)
    data = pathlib.Path(path).read_bytes()
    if len(data) > max_bytes:
        raise DataError(path, modality, "length", f"at most {max_bytes} bytes", len(data), "shorten it")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        got = f"byte 0x{data[error.start]:02x} at {error.start}"
        raise DataError(path, modality, "encoding", "UTF-8", got, "save it as UTF-8") from error


def _prompts(path: str, name: str) -> list[str]:
    """The lines of a file that are not blank."""
    lines = [line.strip() for line in _decoded(path, name, MAX_PROMPTS_BYTES).splitlines()]
    if not any(lines):
        raise DataError(path, name, "lines", "one text a line", "blank lines alone", "write one")
    return [check_text(f"{path}:{number}", name, line) for number, line in enumerate(lines, 1) if line]


def check_text(path, modality: str, content: str) -> str:
    """The text without white space at its ends; refuses what is then empty, or holds what no text does."""
    if "\0" in content or any("\ud800" <= character <= "\udfff" for character in content):
        raise DataError(
            path, modality, "encoding", "text", "a NUL or half of a surrogate pair", "save it as UTF-8 text"
        )
    if not content.strip():
        raise DataError(path, modality, "length", "at least 1 character", "an empty text", "write one or remove it")
    return content.strip()


def _caption(path, modality: str, content: str) -> str:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(path, modality, "json", "valid JSON", str(error), "mend it") from error
    if isinstance(value, dict):
        value = value.get("text", value.get("caption"))
    if not isinstance(value, str):
        raise DataError(path, modality, "json", "a string, or an object with `text`", type(value).__name__, "mend it")
    return value
