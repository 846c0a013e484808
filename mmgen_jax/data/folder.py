"""The user's own files: any folder of images, recordings, clips and texts, no code needed.

    pets/cat1.png   pets/cat1.wav   pets/cat1.txt          files that share a stem are one example, …
    pets/dog/7.mp4  pets/dog/7.txt                          … subfolders included; a clip gives video and audio

or `pets/manifest.jsonl`; then only its examples are used. A line is one example, and its fields are modality names:

    {"image": "photos/a.png", "text": "a caption", "label": "cat", "age": [3.5], "pose": "poses/a.npy"}

Suffixes: those of `modalities/<kind>.py`. In a .txt or .caption each line is a caption; a .json is a string, a list of
strings, or an object's `text`, `caption` or `captions`, and beside them its `label` and `split`. A modality that an
example lacks is masked. An audio file has priority over the sound of the example's clip. A field of a manifest may have
any name: `"edges": "a.png"` is an image, numbers (a list, or a list of lists) are a `vector`, `"color": {"label":
"red"}` says its kind. `split` may be `train`, `val` or `test`. Refused: two files of one modality with one stem, a text
longer than `text_length`, vectors of one name and two shapes, a folder named like a file, a manifest's line with an
unknown field, a path that leaves the folder, or a missing file.

Other layouts are recognised (docs/data.md has them all); `mmgen check-data` and `mmgen train` print the layout found:

- tables: `metadata.jsonl`, CSV or TSV with captions, classes or splits of the files, COCO and Flickr8k captions;
- parallel folders `images/`, `captions/`; class folders `cats/`, `dogs/`, which give a `label`; WebDataset shards;
- `train/`, `val/`, `test/` and similar names, which stay the splits. Without them `split_of` orders the stems (in a
  manifest the first file of each line) by a SHA-256 of (seed, stem); the first `test_fraction` are the test split, the
  next `validation_fraction` the validation split, the others the training split.

Files that may be data but are not used give a warning; hidden files are not listed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import os
from typing import Any, ClassVar

import numpy as np

from mmgen_jax.config.ranges import Seed, Share, Size
from mmgen_jax.data import fingerprint, local
from mmgen_jax.data.files import folder_fields, folder_formats, folder_items, folder_listing
from mmgen_jax.data.files.folder_items import Item, Listing, modalities, order
from mmgen_jax.errors import DataError
from mmgen_jax.modalities.modality import MASK_SUFFIX


@dataclasses.dataclass(kw_only=True)
class Source(folder_formats.Formats):
    """The examples of a folder's split that have at least one of the modalities `names`.

    Every file is decoded once, when the source is first made, into a cache (images and frames at 8 bits a channel, all
    else as float32). A changed file or field renews the cache. A file that cannot be used stops a run before anything
    compiles. Of several texts of an example, training draws one by (seed, epoch, index); other splits show the first.

    Args:
      directory: the folder; `~` is the user's home.
      split: `train`, `validation` or `test`.
      names: modalities to read; () is all that the folder has.
      layout: "" to recognise the layout, or another value that `folder_listing.read` takes.
      bad_files: `refuse` a folder with a file that cannot be used, or `skip` such files: their modality is masked.
      min_count: a word is in the vocabulary if the training texts hold it at least this often.
      label_preserving: the operations of augmentation (`flip`, `hue`, `zoom`, `reverse`) after which all other
        modalities of an example still describe the example; see docs/data.md.
      validation_fraction, test_fraction, seed: of the random split, where the folder has no split of its own.

    Raises:
      DataError: a file, line or folder that cannot be used.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "validation", "test")
    directory: str
    split: str = "train"
    names: tuple[str, ...] = ()
    layout: str = ""
    bad_files: str = "refuse"
    min_count: Size = 1
    validation_fraction: Share = 0.1
    test_fraction: Share = 0.1
    seed: Seed = 0
    label_preserving: tuple[str, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        self.directory = os.path.expanduser(self.directory)
        self.require("split", ", ".join(self.splits), self.split in self.splits)
        self.require("bad_files", "refuse or skip", self.bad_files in ("refuse", "skip"))
        for field in ("validation_fraction", "test_fraction"):
            self.require(field, "0 to 0.45", 0 <= getattr(self, field) <= 0.45)
        self._listing = listing = folder_listing.read(self.directory, self.layout)
        examples = [example.items for example in listing.examples]
        known = sorted({*modalities(), *itertools.chain(*examples)}, key=order)
        self.require("names", f"some of {', '.join(known)}", set(self.names) <= set(known))
        if problems := listing.problems + ([] if self._skips else listing.bad):
            raise folder_fields.with_count(problems, can_skip=not listing.problems)
        self._split = np.array(listing.splits(self.seed, self.validation_fraction, self.test_fraction))

        fields = {name: self._load(name, [items.get(name) for items in examples]) for name in self.names or known}
        self._skipped = listing.bad + [error for field in fields.values() if field for error in field.skipped]
        if absent := [name for name in self.names if not (field := fields[name]) or not field.present.any()]:
            advice = f"add some, or leave {absent[0]!r} out of data.names"
            raise DataError(self.directory, absent[0], "files", "at least one", "none", advice)
        self._fields = {name: field for name, field in fields.items() if field and field.present.any()}
        self.names = tuple(self._fields)
        self.modalities = {name: field.modality for name, field in self._fields.items()}
        # A class alone is no example: the picture of a class folder may have been skipped.
        telling = self._fields.keys() - {folder_items.LABEL} or self._fields
        present = [self._fields[name].present for name in telling]
        usable = np.any(present, axis=0) if present else np.zeros(len(examples), bool)
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

    @property
    def _skips(self) -> bool:
        return self.bad_files == "skip"

    @classmethod
    def examine(cls, **fields) -> Listing:
        """The listing with every problem of the folder that would stop a run; `bad` has the skipped files and lines."""
        formats = folder_formats.Formats(
            **{f.name: fields[f.name] for f in dataclasses.fields(folder_formats.Formats) if f.name in fields}
        )
        listing = folder_listing.read(os.path.expanduser(fields["directory"]), fields.get("layout", ""))
        items = list(listing.items())
        found = {
            name: formats.modality([item for item in items if item.modality == name])
            for name in {item.modality for item in items}
            if not fields.get("names") or name in fields["names"]
        }

        def problem(item: Item) -> DataError | None:
            try:
                formats.decode(item, found[item.modality])
            except DataError as error:
                return error
            return None

        read = [item for item in items if item.modality in found]
        with local.decoders() as pool:
            listing.bad += [error for error in pool.map(problem, read) if error]
        if listing.bad and fields.get("bad_files", "refuse") == "refuse":
            listing.warnings.append(f"data.bad_files='skip' would leave out files and lines below: {len(listing.bad)}")
            listing.problems, listing.bad = listing.problems + listing.bad, []
        return listing

    def __len__(self) -> int:
        return len(self._examples)

    def read(self, indices: np.ndarray, epochs: np.ndarray) -> dict[str, np.ndarray]:
        """The examples of a batch; a modality that any example of the folder lacks comes with its mask."""
        indices, epochs, batch = np.asarray(indices), np.asarray(epochs), {}
        examples = self._examples[indices]
        for name, field in self._fields.items():
            role = f"{self.seed}/{name}"
            draw = (lambda role=role: local.uniform(role, epochs, indices)) if self.split == "train" else None
            batch[name] = field.of(name, examples, draw)
            if not field.present.all():
                batch[name + MASK_SUFFIX] = field.present[examples]
        return batch

    def places(self, indices: np.ndarray) -> list[str]:
        """Where examples lie in the folder: the common path of their files, or the first file of a manifest's line."""
        return [self._listing.examples[at].group for at in self._examples[np.asarray(indices)]]

    def references(self, text: str, ids: np.ndarray) -> list[np.ndarray]:
        """Every caption `[L]` of the examples that have the caption `ids [L]` of the modality `text`."""
        return self._fields[text].references(ids)

    def layout_found(self) -> list[str]:
        """How the folder was read, a line each."""
        joined = " (data.text_lines='joined' reads a file as one text)"
        notes = [f"{name}: {line}{joined}" for name, field in self._fields.items() for line in field.notes]
        return self._listing.layout + notes

    def warnings(self) -> list[str]:
        """Unused files that may be data, the skipped files and lines, and other possible mistakes, one line each."""
        more = [f"{name}: {line}" for name, field in self._fields.items() for line in field.warnings]
        skipped = [
            f"files and lines that are skipped: {len(self._skipped)}, first {error}" for error in self._skipped[:1]
        ]
        return self._listing.warnings + more + skipped

    def fingerprint(self) -> str:
        """A SHA-256 of the folder's content; it depends neither on the folder's place nor on `split` and `names`.

        It covers: the group, the split and the items of each example; the skipped lines; and the fields that say how
        files are read. An item is the relative path of a file and a digest of its content (`fingerprint.of_file`; for a
        text file, all of the content), or the value of a line. Fields at their defaults do not count, so that a new
        field changes no fingerprint. A skipped file counts like any other file.
        """
        own = {"directory", *fingerprint.LEFT_OUT}
        read_by = [field for field in dataclasses.fields(self) if field.name not in own]
        fields = {f.name: value for f in read_by if (value := getattr(self, f.name)) != f.default}
        examples = [
            [example.group, split, {name: self._identity(item) for name, item in example.items.items()}]
            for example, split in zip(self._listing.examples, self._split.tolist())
        ]
        bad = [os.path.relpath(error.args[0], self._listing.root) for error in self._listing.bad]
        clips = any(len(modality.shape) == 4 for modality in self.modalities.values())
        version = [folder_fields.VERSION] if clips else []  # another version reads other frames of the same files
        content = json.dumps([fields, examples, bad, *version], sort_keys=True)
        return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()

    def _identity(self, item: Item) -> Any:
        if item.value is not None:
            return item.value
        state = [os.path.relpath(item.path, self._listing.root), item.holder]
        try:
            if folder_items.is_text(item.holder or item.kind):
                return [*state, hashlib.sha256(item.path.read_bytes()).hexdigest()]
            return [*state, *fingerprint.of_file(item.path)]
        except OSError:  # skipped
            return state

    def _load(self, name: str, items: list[Item | None]) -> folder_fields.Field | None:
        """None where no example has the modality."""
        there = [item for item in items if item]
        if not there:
            return None
        modality = self.modality(there)
        if modality.traits.has_vocabulary:
            return folder_fields.read_texts(self, items, modality, self._split == "train", self.min_count, self._skips)
        return folder_fields.read_array(self, name, items, modality, self._skips)
