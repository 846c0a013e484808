"""The user's own files: any folder of images, recordings, clips and texts, no code needed.

    pets/cat1.png   pets/cat1.wav   pets/cat1.txt          files that share a stem are one example, …
    pets/dog/7.mp4  pets/dog/7.txt                          … subfolders included; an mp4 or webm gives video and audio

or `pets/manifest.jsonl`, which then alone says what is used; a line is one example, its fields modality names:

    {"image": "photos/a.png", "text": "a caption", "age": [3.5], "pose": "poses/a.npy"}

Suffixes: png jpg jpeg webp; wav flac ogg mp3; mp4 gif webm; npy; txt json (a JSON string, or an object's `text` or
`caption`). What an example lacks is masked. An audio file goes before the sound of the example's clip. Numbers in a
line (a list, or a list of lists) and a .npy file may stand under any name, and are a `vector` of that name. How each
file is converted and what is refused: `modalities/<kind>.py`. Refused as well: two files of one modality with one stem,
a text longer than `text_length`, vectors of one name and two shapes, a folder named like a file, a manifest's line with
an unknown field, a path that leaves the folder or a file that is not there. Ignored, and listed by `mmgen check-data`:
files of other suffixes or outside the manifest, links to folders; hidden files are not even listed.

Split: `split_of` orders the stems (in a manifest the first file of each line) by a SHA-256 of (seed, stem); the first
`test_fraction` are the test split, the next `validation_fraction` the validation split, the others the training split.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import itertools
import os
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from mmgen_jax.data.cache import arrays, arrays_writer
from mmgen_jax.data.files import folder_formats, folder_listing
from mmgen_jax.data.files.folder_listing import Item
from mmgen_jax.errors import DataError
from mmgen_jax.modalities import containers
from mmgen_jax.modalities.modality import MASK_SUFFIX, Modality
from mmgen_jax.modalities.tokenizer import Tokenizer, build

CHUNK = 64  # files decoded at a time
VERSION = 1  # of the conversion; a part of the cache's key


@dataclasses.dataclass(kw_only=True)
class Source(folder_formats.Formats):
    """The examples of a folder's split that have at least one of the modalities `names`.

    Every file is decoded once, when the source is first made, into a cache (images and frames at 8 bits a channel, all
    else as float32) that a changed file or field renews: a file that cannot be used stops a run before anything
    compiles.

    Args:
      directory: the folder.
      split: `train`, `validation` or `test`.
      names: modalities to read; () is all that the folder has.
      min_count: how often the training texts must hold a word for it to be in the vocabulary.
      validation_fraction, test_fraction, seed: of the split.

    Raises:
      DataError: a file, line or folder that cannot be used.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "validation", "test")
    directory: str
    split: str = "train"
    names: tuple[str, ...] = ()
    min_count: int = 1
    validation_fraction: float = 0.1
    test_fraction: float = 0.1
    seed: int = 0

    def __post_init__(self):
        super().__post_init__()
        self.require("split", ", ".join(self.splits), self.split in self.splits)
        for field in ("validation_fraction", "test_fraction"):
            self.require(field, "0 to 0.45", 0 <= getattr(self, field) <= 0.45)
        listing = folder_listing.read(self.directory)
        examples = [items for _, items in listing.examples]
        known = sorted({*folder_listing.modalities(), *itertools.chain(*examples)}, key=folder_listing.order)
        self.require("names", f"some of {', '.join(known)}", set(self.names) <= set(known))
        if listing.problems:
            raise _with_count(listing.problems)
        split_of = folder_listing.split_of(
            [group for group, _ in listing.examples], self.seed, self.validation_fraction, self.test_fraction
        )
        self._split = np.array([split_of[group] for group, _ in listing.examples])

        fields = {name: self._load(name, examples) for name in self.names or known}
        if absent := [name for name in self.names if not fields[name]]:
            advice = f"add some, or leave {absent[0]!r} out of data.names"
            raise DataError(self.directory, absent[0], "files", "at least one", "none", advice)
        self._fields = {name: field for name, field in fields.items() if field}
        self.names = tuple(self._fields)
        self.modalities = {name: field.modality for name, field in self._fields.items()}
        usable = np.any([field.present for field in self._fields.values()], axis=0)
        self._examples = np.flatnonzero(usable & (self._split == self.split))
        if not len(self._examples):
            raise DataError(
                self.directory,
                "data",
                "split",
                f"at least one example in {self.split!r}",
                f"none of {len(examples)}",
                "add files or change the fractions",
            )

    @classmethod
    def examine(cls, **fields) -> tuple[list[DataError], list[str]]:
        """Every problem of the folder, each of which would stop a run, and a line for each file that is ignored."""
        formats = folder_formats.Formats(
            **{f.name: fields[f.name] for f in dataclasses.fields(folder_formats.Formats) if f.name in fields}
        )
        listing = folder_listing.read(fields["directory"])
        items = [item for _, items in listing.examples for item in items.values()]
        modalities = {
            name: formats.modality([item for item in items if item.modality == name])
            for name in {item.modality for item in items}
            if not fields.get("names") or name in fields["names"]
        }

        def problem(item: Item) -> DataError | None:
            try:
                formats.decode(item, modalities[item.modality])
            except DataError as error:
                return error
            return None

        read = [item for item in items if item.modality in modalities]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            found = [error for error in pool.map(problem, read) if error]
        return listing.problems + found, listing.ignored

    def __len__(self) -> int:
        return len(self._examples)

    def read(self, indices: np.ndarray, epochs: np.ndarray) -> dict[str, np.ndarray]:
        """The examples of a batch; a modality that any example of the folder lacks comes with its mask."""
        examples, batch = self._examples[np.asarray(indices)], {}
        for name, field in self._fields.items():
            present = field.present[examples]
            values = field.values if isinstance(field.values, np.ndarray) else field.values[name]
            values = values[field.row[examples]]
            if values.dtype == np.uint8:
                values = values.astype(np.float32)
                values /= 127.5
                values -= 1
            values[~present] = 0
            batch[name] = values
            if not field.present.all():
                batch[name + MASK_SUFFIX] = present
        return batch

    def _load(self, name: str, examples: Sequence[dict[str, Item]]) -> _Field | None:
        """None where no example has the modality."""
        items = [items[name] for items in examples if name in items]
        if not items:
            return None
        listed = np.array([name in items for items in examples])
        row, modality = np.cumsum(listed).clip(1) - 1, self.modality(items)
        if modality.traits.has_vocabulary:
            tokenizer, values = self._encode(items, modality, self._split[listed] == "train")
            return _Field(listed, row, values, dataclasses.replace(modality, tokenizer=tokenizer))
        decoded = self._decoded(name, items, modality)
        present = listed.copy()
        present[listed] = decoded["present"]
        return _Field(present, row, decoded, modality) if present.any() else None

    def _encode(
        self, items: Sequence[Item], modality: Modality, in_training: np.ndarray
    ) -> tuple[Tokenizer, np.ndarray]:
        """The vocabulary of the training texts, and every text as ids `[N, L]`."""
        texts: list[Any] = [self.decode(item, modality) for item in items]  # strings, as the kind has a vocabulary
        training = [text for text, train in zip(texts, in_training) if train]
        tokenizer = build(training, self.text_unit, min_count=self.min_count)
        if self.text_unit != "byte" and not tokenizer.vocabulary:
            expected = f"{self.text_unit}s that the training texts hold at least {self.min_count} times"
            got, name = f"none in {len(training)} training texts", items[0].modality
            raise DataError(self.directory, name, "vocabulary", expected, got, "add texts or lower data.min_count")
        return tokenizer, np.stack([tokenizer.encode(text, self.text_length) for text in texts])

    def _decoded(self, name: str, items: Sequence[Item], modality: Modality) -> arrays.Arrays:
        """`name [N, ...]`, and `present [N]`, False for the sound of a clip that has none."""
        listed = repr([(os.path.abspath(item.path), *_state(item)) for item in items])
        parameters = {
            "version": VERSION,
            "files": hashlib.sha256(listed.encode("utf-8", "surrogateescape")).hexdigest(),
            "shape": modality.shape,
            "sample_rate": modality.sample_rate,
            "frame_rate": modality.frame_rate,
        }

        def build(writer: arrays_writer.Writer) -> None:
            for item in items:  # a bad header is found before the first file is decoded
                folder_formats.check_header(item)
            with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
                for start in range(0, len(items), CHUNK):
                    values = [pool.submit(self.decode, item, modality) for item in items[start : start + CHUNK]]
                    values = [value.result() for value in values]
                    present = np.array([value is not None for value in values])
                    stacked = modality.zeros(len(values))
                    stacked[present] = [value for value in values if value is not None]
                    if modality.traits.eight_bits:
                        stacked = np.round((stacked + 1) * 127.5).astype(np.uint8)
                    writer.extend({name: stacked, "present": present})

        return arrays.cached(f"folder/{name}", [], parameters, build)


@dataclasses.dataclass(frozen=True)
class _Field:
    """A modality over all examples of the folder: which have it `[N]`, and their `row [N]` in `values`."""

    present: np.ndarray
    row: np.ndarray
    values: np.ndarray | arrays.Arrays  # the latter pickles as its path, for worker processes
    modality: Modality


def _state(item: Item) -> tuple:
    """What changes where the item does: size and time of its file, or what the line holds."""
    if item.value is not None:
        return (item.value,)
    try:
        stat = item.path.stat()
    except OSError:
        containers.check(item.path, item.modality)  # says what is wrong
        raise
    return stat.st_size, stat.st_mtime_ns


def _with_count(problems: Sequence[DataError]) -> DataError:
    """The first problem, with a word on how many more there are."""
    file, modality, field, expected, got, advice = problems[0].args
    more = f" (and {len(problems) - 1} more: `mmgen check-data` lists them)" if len(problems) > 1 else ""
    return DataError(file, modality, field, expected, got, advice + more)
