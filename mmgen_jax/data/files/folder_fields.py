"""The values of one modality for all examples of a folder: files decoded once into the cache, or texts as ids."""

from __future__ import annotations

import collections
import dataclasses
import functools
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from mmgen_jax.data import local
from mmgen_jax.data.cache import arrays, arrays_writer
from mmgen_jax.data.files import folder_formats
from mmgen_jax.data.files.folder_items import Item
from mmgen_jax.errors import DataError
from mmgen_jax.modalities import containers
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.tokenizer import END, PADDING, Tokenizer, build

CHUNK = 64  # files decoded at a time
VERSION = 2  # of the conversion; a part of the cache's key
NO_SPACES = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff]")  # Thai, Khmer, kana


@dataclasses.dataclass(frozen=True)
class Field:
    """Args:
    present: `[N]`, which examples have the modality.
    row, count: `[N]`, the first row of an example's values, and their number; only texts have several.
    values: `[K, *shape]`; values of the cache are pickled as their path, for worker processes.
    texts: `[N]`, for texts only: the captions of every example.
    skipped: files and lines that could not be used.
    shortened: the files that are cut or resampled, as lines for the user.
    """

    present: np.ndarray
    row: np.ndarray
    count: np.ndarray
    values: np.ndarray | arrays.Arrays
    modality: Modality
    texts: list[tuple[str, ...]] = dataclasses.field(default_factory=list)
    skipped: list[DataError] = dataclasses.field(default_factory=list)
    shortened: Sequence[str] = ()

    def of(self, name: str, examples: np.ndarray, draw: Callable[[], np.ndarray] | None) -> np.ndarray:
        """`[B, *shape]`, zeros where absent.

        Args:
          draw: gives numbers `[B]` in [0, 1), which choose one of several texts; None for the first text.
        """
        values = self.values if isinstance(self.values, np.ndarray) else self.values[name]
        rows = self.row[examples]
        if draw and (self.count > 1).any():
            rows = rows + (draw() * self.count[examples]).astype(int)
        values = values[rows]
        if values.dtype == np.uint8:
            values = values.astype(np.float32)
            values /= 127.5
            values -= 1
        values[~self.present[examples]] = 0
        return values

    def references(self, ids: np.ndarray) -> list[np.ndarray]:
        """Every text `[L]` of the examples that have the text `ids [L]`."""
        return list(self._texts_beside.get(_key(ids), {_key(ids): ids}).values())

    @functools.cached_property
    def _texts_beside(self) -> dict[tuple[int, ...], dict[tuple[int, ...], np.ndarray]]:
        """`{text: the texts of all examples that have the text}`."""
        values, found = np.asarray(self.values), {}
        for row, count in zip(self.row[self.present], self.count[self.present]):
            texts = {_key(ids): ids for ids in values[row : row + count]}
            for key in texts:
                found.setdefault(key, {}).update(texts)
        return found

    @property
    def notes(self) -> Iterator[str]:
        """Notes on the texts, for the user."""
        several = [len(texts) for texts in self.texts if len(texts) > 1]
        if several:
            yield (
                f"{len(several)} of {sum(map(bool, self.texts))} examples have several texts ({min(several)} to "
                f"{max(several)}): training draws one of them in each pass, captions are measured by all"
            )

    @property
    def warnings(self) -> Iterator[str]:
        yield from self.shortened
        if line := unspaced(self.modality.tokenizer, [text for texts in self.texts for text in texts]):
            yield line


def of_texts(
    texts: Sequence[tuple[str, ...]], present: np.ndarray, modality: Modality, tokenizer: Tokenizer, **more: Any
) -> Field:
    """The field of `texts [N]`, the texts of every example, as ids of the modality's length."""
    length = modality.shape[0]
    ids = [tokenizer.encode(text, length) for several in texts for text in several]
    count = np.array([len(several) for several in texts])
    row = (np.cumsum(count) - count).clip(0, max(len(ids) - 1, 0))
    modality = dataclasses.replace(modality, tokenizer=tokenizer)
    values = np.array(ids, np.int32).reshape(-1, length)
    return Field(present & (count > 0), row, count, values, modality, list(texts), **more)


def unspaced(tokenizer: Tokenizer | None, texts: Sequence[str]) -> str:
    """A warning where a tokenizer of words reads texts that have no spaces between words."""
    found = sum(bool(NO_SPACES.search(text)) for text in texts) if tokenizer and tokenizer.unit == "word" else 0
    if 2 * found <= len(texts):
        return ""
    return (
        f"{found} texts are of a script without spaces between words, so a sentence is one word: set "
        "data.text_unit='character' and raise data.text_length"
    )


def read_array(
    formats: folder_formats.Formats, name: str, items: Sequence[Item | None], modality: Modality, skip: bool
) -> Field:
    """The field of `items [N]`; an item is None where the example lacks the modality."""
    there = [item for item in items if item]
    try:
        decoded = _decoded(formats, name, there, modality, skip)
    except DataError as error:
        raise error if skip else with_count([error], can_skip=True) from error
    bad = [DataError(*fields) for fields in decoded.attributes.get("bad", [])]
    if bad and not skip:
        raise with_count(bad, can_skip=True)
    listed = np.array([item is not None for item in items])
    present = listed.copy()
    present[listed] = decoded["present"]
    row = np.cumsum(listed).clip(1) - 1
    cut = [
        f"{count} of {int(present.sum())} files {what}"
        for what, count in decoded.attributes.get("shortened", {}).items()
    ]
    return Field(present, row, np.ones(len(items), int), decoded, modality, skipped=bad, shortened=cut)


def read_texts(
    formats: folder_formats.Formats,
    items: Sequence[Item | None],
    modality: Modality,
    in_training: np.ndarray,
    min_count: int,
    skip: bool,
) -> Field:
    """The field of texts; the vocabulary is built from the texts where `in_training [N]` is True."""
    texts, bad = [], []
    for item in items:
        try:
            texts.append(formats.decode(item, modality) if item else ())
        except DataError as error:
            bad.append(error)
            texts.append(())
    if bad and not skip:
        raise with_count(bad, can_skip=True)
    training = [text for several, train in zip(texts, in_training) if train for text in several]
    tokenizer = build(training, formats.text_unit, min_count=min_count)
    item = next(filter(None, items))
    if formats.text_unit != "byte" and not tokenizer.vocabulary:
        expected = f"{formats.text_unit}s that the training texts hold at least {min_count} times"
        got = f"none in {len(training)} training texts"
        raise DataError(
            item.path.parent, item.modality, "vocabulary", expected, got, "add texts or lower data.min_count"
        )
    return of_texts(texts, np.ones(len(texts), bool), modality, tokenizer, skipped=bad)


def _decoded(
    formats: folder_formats.Formats, name: str, items: Sequence[Item], modality: Modality, skip: bool
) -> arrays.Arrays:
    """`name [N, ...]`, and `present [N]`: False for the sound of a clip without sound, and for a skipped file."""
    listed = repr([(os.path.abspath(item.path), *_state(item, skip)) for item in items])
    parameters: dict[str, Any] = {
        "version": VERSION,
        "files": hashlib.sha256(listed.encode("utf-8", "surrogateescape")).hexdigest(),
        "shape": modality.shape,
        "sample_rate": modality.sample_rate,
        "frame_rate": modality.frame_rate,
    }
    if modality.sample_rate or modality.frame_rate:
        parameters["notes"] = 1  # of `shortened`, which earlier caches lack
    if modality.classes:
        parameters["classes"] = modality.classes

    def decode(item: Item) -> Any:
        try:
            return formats.decode(item, modality)
        except DataError as error:
            if not skip:
                raise
            return error

    def build(writer: arrays_writer.Writer) -> None:
        for item in items if not skip else ():  # a bad header is found before the first file is decoded
            folder_formats.check_header(item)
        bad, shortened = [], collections.Counter()
        with local.decoders() as pool:
            for start in range(0, len(items), CHUNK):
                values = list(pool.map(decode, items[start : start + CHUNK]))
                bad += [value.args for value in values if isinstance(value, DataError)]
                for item, value in zip(items[start : start + CHUNK], values):
                    if item.value is None and value is not None and not isinstance(value, DataError):
                        shortened.update(modality.traits.shortened(item.path, modality.kind))
                values = [None if isinstance(value, DataError) else value for value in values]
                present = np.array([value is not None for value in values])
                stacked = modality.zeros(len(values))
                if present.any():
                    stacked[present] = [value for value in values if value is not None]
                if modality.traits.eight_bits:
                    stacked = np.round((stacked + 1) * 127.5).astype(np.uint8)
                writer.extend({name: stacked, "present": present})
        if bad:
            writer.attributes["bad"] = bad
        if shortened:
            writer.attributes["shortened"] = dict(shortened)

    return arrays.cached(f"folder/{name}", [], parameters, build)


def _state(item: Item, skip: bool) -> tuple:
    """Values that change when the item changes: size and modification time of its file, or the value in its line."""
    if item.value is not None:
        return (item.value,)
    try:
        stat = item.path.stat()
    except OSError:
        if skip:
            return ()
        containers.check(item.path, item.modality)  # raises an error with the reason
        raise
    return stat.st_size, stat.st_mtime_ns


def with_count(problems: Sequence[DataError], can_skip: bool) -> DataError:
    """The first problem, with the number of the other problems; `can_skip`: whether `bad_files` may leave them out."""
    file, modality, field, expected, got, advice = problems[0].args
    more = f" (and {len(problems) - 1} more: `mmgen check-data` lists them)" if len(problems) > 1 else ""
    skip = ", or set data.bad_files='skip' to leave out what cannot be used" if can_skip else ""
    return DataError(file, modality, field, expected, got, advice + skip + more)


def _key(ids: np.ndarray) -> tuple[int, ...]:
    """The ids of a text without its end."""
    return tuple(i for i in ids.tolist() if i not in (END, PADDING))
