"""The parts of the listing of a folder: examples with their items, and the problems and warnings about them."""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

from mmgen_jax.errors import DataError
from mmgen_jax.modalities import kinds

FIRST = ("text", "image", "audio", "video")  # the order of the modalities; others follow, by name
LABEL = "label"  # the modality of class folders and of label columns
SPLITS = {
    **dict.fromkeys(("train", "training", "restval"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def modalities() -> list[str]:
    """The kinds that are read from files or from lines of a manifest; a modality has the name of its kind."""
    return sorted((name for name in kinds.names() if _has_data(kinds.find(name))), key=order)


def _has_data(kind: Any) -> bool:
    return bool(kind.suffixes or kind.inline)


def suffixes() -> str:
    """The suffixes that are read, as a list for a message."""
    return ", ".join(suffix for name in modalities() for suffix in kinds.find(name).suffixes)


def order(name: str) -> tuple[int, str]:
    """The sort key of a modality."""
    return (FIRST.index(name) if name in FIRST else len(FIRST)), name


def is_text(kind: str) -> bool:
    """Whether files of a kind hold words."""
    return kinds.find(kind).has_vocabulary


def text_kind() -> str:
    """The kind that has a vocabulary."""
    return next(name for name in modalities() if is_text(name))


def split_name(word: Any) -> str:
    """The split that a folder, table or cell means: `train`, `validation`, `test`, or "" for another word."""
    word = re.sub(r"[-_]?(19|20)\d\d$", "", str(word).strip().lower())  # `val2017`
    return SPLITS.get(word, "")


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
    split: the split that the user's own folders or tables give, else "".
    """

    group: str
    items: dict[str, Item]
    split: str = ""


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
    """

    root: pathlib.Path
    examples: list[Example] = dataclasses.field(default_factory=list)
    layout: list[str] = dataclasses.field(default_factory=list)
    problems: list[DataError] = dataclasses.field(default_factory=list)
    bad: list[DataError] = dataclasses.field(default_factory=list)
    warnings: list[str] = dataclasses.field(default_factory=list)
    ignored: list[str] = dataclasses.field(default_factory=list)

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
