"""The parts of the listing of a folder: examples with their items, and the problems and warnings about them."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mmgen_jax.errors import DataError
from mmgen_jax.modalities import kinds

FIRST = ("text", "image", "audio", "video")  # the order of the modalities; others follow, by name
LABEL = "label"  # the modality of class folders and of label columns
OUTSIDE = "outside"  # the split of a file outside the folders of the user's own splits
SPLITS = {
    **dict.fromkeys(("train", "training", "restval", "trainval"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval", "evaluation"), "validation"),
    **dict.fromkeys(("test", "testing", "holdout", "heldout", "devtest", "testdev"), "test"),
}
PLAIN = re.compile(r"(19|20)\d\d|(data)?sets?|data|splits?|images?|imgs?|pictures?|photos?|files?|folder", re.I)
NAMED = 3  # files that a warning names

Parts = tuple[str, ...]


def modalities() -> list[str]:
    """The kinds that are read from files or from lines of a manifest; a modality has the name of its kind."""
    return sorted((name for name in kinds.names() if _has_data(kinds.find(name))), key=order)


def _has_data(kind: Any) -> bool:
    return bool(kind.suffixes or kind.inline)


def suffixes() -> str:
    """The suffixes that are read, as a list for a message."""
    return ", ".join(suffix for name in modalities() for suffix in kinds.find(name).suffixes)


def misplaced(path: pathlib.Path, directory: pathlib.Path) -> tuple[str, str, str] | None:
    """`(expected, got, advice)` for a path that is no file of the folder: a link out of the folder, a pipe, a device.

    By a link, a folder of a stranger could show any file of the machine; reading a pipe may never end. Links inside the
    folder are read.
    """
    target = pathlib.Path(os.path.realpath(path))  # `resolve` raises where links go in a circle
    if not target.is_relative_to(os.path.realpath(directory)):
        return "a file inside the folder", f"a link to {target}", "put the file itself there"
    if target.exists() and not (target.is_file() or target.is_dir()):
        return "a file", "a pipe, a socket or a device", "remove it"
    return None


def order(name: str) -> tuple[int, str]:
    """The sort key of a modality."""
    return (FIRST.index(name) if name in FIRST else len(FIRST)), name


def is_text(kind: str) -> bool:
    """Whether files of a kind hold words."""
    return kinds.find(kind).has_vocabulary


def is_class(kind: str) -> bool:
    """Whether an example of this kind is one number, as a class is."""
    return kinds.find(kind).ranks == (0,)


def text_kind() -> str:
    """The kind that has a vocabulary."""
    return next(name for name in modalities() if is_text(name))


def split_and_rest(name: Any) -> tuple[str, str]:
    """The split in the name of a folder or table, else "", and its other words: `trainA` gives `("train", "A")`.

    `dev_test` is a test split. A name of `train` and another split (`train_test`) is no split.
    """
    words = split_words(name)
    found = {SPLITS[known] for _, known in words if known}
    if not found or (len(found) > 1 and "train" in found):
        return "", "_".join(word for word, _ in words)
    return ("test" if "test" in found else found.pop()), "_".join(word for word, known in words if not known)


def split_words(name: Any) -> list[tuple[str, str]]:
    """The words of a name, each with the key of `SPLITS` that the word is, else ""."""
    name = re.sub(r"(held|hold)[-_ ]out", "holdout", str(name).strip(), flags=re.I)
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_]+", name)
    known = [re.sub(r"(?<=.)(sets?|data|images?|imgs?)$", "", word.lower()) for word in words]  # `trainset`
    return [(word, stem if stem in SPLITS else "") for word, stem in zip(words, known)]


def split_name(word: Any) -> str:
    """The split that a folder, table or cell means: `train`, `validation`, `test`, or "" for another word.

    Years and words such as `set` and `images` may stand beside the split: `val2017`, `test_set`, `train_images`.
    """
    split, rest = split_and_rest(word)
    return split if all(map(PLAIN.fullmatch, rest.split("_") if rest else [])) else ""


@dataclasses.dataclass(frozen=True)
class File:
    """A file that may belong to an example; `parts` is its path below the folder without the suffix, in Unicode NFC."""

    path: pathlib.Path
    parts: Parts
    kind: str


def media_or_all(files: Iterable[File]) -> list[File]:
    """The files whose folders show the layout: all but texts, which may be notes; all files where all are texts."""
    return [file for file in files if not is_text(file.kind)] or list(files)


def without_level(parts: Parts, level: int | None) -> Parts:
    """`parts` without the folder at `level`; as they are where the file lies above it."""
    return parts if level is None or len(parts) - 1 <= level else parts[:level] + parts[level + 1 :]


@dataclasses.dataclass(frozen=True)
class Item:
    """One modality of one example: a file of the folder, or a value in a line of a manifest or table."""

    modality: str
    kind: str
    path: pathlib.Path  # the file; of a `value`, the manifest or table with the line number, as in `manifest.jsonl:3`
    value: Any = None  # a caption, several captions (a tuple), a class or numbers; None for a file
    holder: str = ""  # the kind of the file where it differs from `kind`: `video` for the sound of a clip


@dataclasses.dataclass
class Example:
    """Args:
    group: examples of one group fall in the same split.
    items: by modality.
    split: the split that the user's own folders or tables give, else ""; `OUTSIDE` until the tables are read.
    folders: that may be classes, from the outermost; without those of splits and of parallel folders.
    """

    group: str
    items: dict[str, Item]
    split: str = ""
    folders: Parts = ()


@dataclasses.dataclass
class Listing:
    """Args:
    root: the folder of the files; of shards, the folder that they were unpacked to.
    examples: in a fixed order.
    layout: the recognised layouts, one line each.
    problems: each would make training fail.
    bad: files and lines that cannot be used; they make training fail unless `bad_files` is `skip`.
    warnings: unused files that may be data, and other possible mistakes.
    ignored: a line for each file that is not used, with the reason.
    split_by: `{table, manifest or .json files that give splits: the first line without a split, or ""}`.
    """

    root: pathlib.Path
    examples: list[Example] = dataclasses.field(default_factory=list)
    layout: list[str] = dataclasses.field(default_factory=list)
    problems: list[DataError] = dataclasses.field(default_factory=list)
    bad: list[DataError] = dataclasses.field(default_factory=list)
    warnings: list[str] = dataclasses.field(default_factory=list)
    ignored: list[str] = dataclasses.field(default_factory=list)
    split_by: dict[str, str] = dataclasses.field(default_factory=dict)

    def warn_of(self, paths: Sequence[pathlib.Path], what: str, advice: str) -> None:
        """Warns of files, with their number and the names of a few; nothing where there are none."""
        if paths:
            few = [path.relative_to(self.root).as_posix() if self.root in path.parents else path.name for path in paths]
            listed = ", ".join(few[:NAMED]) + (", …" if len(paths) > NAMED else "")
            self.warnings.append(f"files {what}: {len(paths)} ({listed}); {advice}, or remove them if they are no data")

    def items(self) -> Iterator[Item]:
        for example in self.examples:
            yield from example.items.values()

    def splits(self, seed: int, validation_fraction: float, test_fraction: float) -> list[str]:
        """The split of every example: the user's own split, and `split_of` for the rest.

        Where the user's own splits are `train` and one other, the third split is drawn from `train`. Where they have no
        example to train on (`captions_test.csv` alone), they are ignored.
        """
        examples = self.examples
        own = {example.split for example in examples}
        if not own & {"", "train"}:
            examples, own = [dataclasses.replace(example, split="") for example in examples], set()
        validation_fraction *= "validation" not in own
        test_fraction *= "test" not in own
        free = [example.group for example in examples if example.split in ("", "train")]
        drawn = split_of(free, seed, validation_fraction, test_fraction)
        return [drawn[example.group] if example.split in ("", "train") else example.split for example in examples]


def split_of(groups: Iterable[str], seed: int, validation_fraction: float, test_fraction: float) -> dict[str, str]:
    """The split of every group: ordered by a SHA-256 of (seed, group), the first go to test, the next to validation.

    Where there are at least 3 groups, each split whose fraction is above 0 gets at least one group.
    """
    groups = sorted(
        set(groups),
        key=lambda group: hashlib.sha256(f"{seed}/{group}".encode("utf-8", "surrogateescape")).digest(),
    )
    tests, validations = (
        max(round(fraction * len(groups)), int(fraction > 0 and len(groups) >= 3))
        for fraction in (test_fraction, validation_fraction)
    )
    splits = ["test"] * tests + ["validation"] * validations
    return dict(zip(groups, splits + ["train"] * max(0, len(groups) - len(splits))))
