"""Classes by the names of folders: `cats/1.png`, `dogs/2.png`."""

from __future__ import annotations

import collections
import pathlib
import re
from collections.abc import Iterable, Sequence

from mmgen_jax.data.files.folder_items import LABEL, Example, Item, Listing, is_text, split_name
from mmgen_jax.errors import DataError

# Names of folders that are hardly classes.
KINDS = re.compile(
    r"((jpe?g|png)?(image|img|picture)|input|target|caption|text|annotation|segmentation|audio|sound|video)s?"
    r"|masks|labels|clips|gt|ground[-_ ]?truth|segmentation(class|object)",
    re.I,
)
# Names of folders that are more likely views of one thing than classes, where the folders hold files of the same names.
VIEWS = re.compile(
    r"(train|test|val)?[-_]?[ab]|source|edges?|photos?|rgb|depth|mask|left|right|low|high|lr|hr|clean|noisy|x|y", re.I
)

NO_CLASS = re.compile(r"un[-_ ]?(labell?ed|sup|supervised)", re.I)


def add(examples: Sequence[Example], directory: pathlib.Path, layout: str, listing: Listing) -> None:
    """Adds a label to the examples of class folders, if most (training) examples lie in two or more such folders.

    A label that a table or a .json gives stays. If these labels are not the folders' names, no folder is a class.
    """
    inner = [e for e in examples if not all(is_text(item.kind) for item in e.items.values())] or examples
    training = [e for e in inner if e.split in ("", "train")]
    judged = training if _classes(training)[1] else inner
    level, classes = _classes(judged)
    lying = [e for e in judged if _class(e, level)]
    given = {str(e.items[LABEL].value).strip() for e in examples if LABEL in e.items}
    if layout == "classes":
        if not classes:
            expected, advice = "a folder for each class, two or more", "sort the files so, or leave data.layout out"
            listing.problems.append(DataError(directory, "data", "layout", expected, "none", advice))
    elif not classes:
        return
    elif not given <= classes:
        listing.layout.append(f"the folders {_few(classes)} are no classes: tables or .json files give other classes")
        return
    elif why := _no_classes(classes, lying, len(judged)):
        insist = "data.layout='classes' reads them as classes, 'stems' as plain folders"
        listing.warnings.append(f"{directory}: the folders {_few(classes)} are not read as classes: {why}; {insist}")
        return
    elif 2 * len(classes) > len(lying):  # a folder for each example
        return
    else:
        _warn_of_names(lying, level, directory, listing)
    classes = {_class(e, level) for e in inner} - {""}
    if held_out := classes - {_class(e, level) for e in training}:
        listing.warnings.append(f"classes without a training example: {_few(held_out)}")
    _label(examples, classes, level, directory, listing)
    listing.warn_of(
        [next(iter(e.items.values())).path for e in inner if LABEL not in e.items],
        "outside the class folders have no class",
        "move them into one",
    )
    listing.layout.append(f"class folders: {len(classes)} classes, the modality `{LABEL}`: {_few(classes)}")


def _class(example: Example, level: int) -> str:
    name = example.folders[level] if len(example.folders) > level else ""
    return "" if NO_CLASS.fullmatch(name) else name


def _classes(examples: Sequence[Example]) -> tuple[int, set[str]]:
    """The first level of folders with two names or more, and the names; no name without such a level."""
    for level in range(max((len(e.folders) for e in examples), default=0)):
        if len(names := {_class(e, level) for e in examples} - {""}) > 1:
            return level, names
    return 0, set()


def _few(names: Iterable[str]) -> str:
    names = sorted(names)
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "")


def _stem(example: Example) -> str:
    return example.group.rpartition("/")[2]


def _no_classes(classes: Iterable[str], lying: Sequence[Example], total: int) -> str:
    """The reason not to read folders as classes; "" for class folders, and for a folder for each example."""
    if 2 * len(set(classes)) > len(lying):
        own = all(_stem(example) == example.folders[-1] for example in lying)
        alike = len(set(map(_stem, lying))) == 1 and all(len(example.items) > 1 for example in lying)
        return "" if own or alike else "they hold fewer than two examples each"
    return f"{total - len(lying)} of {total} examples lie elsewhere" if 2 * len(lying) < total else ""


def _warn_of_names(lying: Sequence[Example], level: int, directory: pathlib.Path, listing: Listing) -> None:
    """Warns where the names of class folders are those of splits, or of views of one thing."""
    held: dict[str, set[tuple[str, ...]]] = collections.defaultdict(set)
    for example in lying:
        held[_class(example, level)].add((*example.folders[level + 1 :], _stem(example)))
    read = f"{directory}: the folders {_few(held)} are read as classes"
    insist = "set data.layout='classes' if they are classes"
    if splits := [name for name in held if split_name(name)]:
        listing.warnings.append(
            f"{read}, not as splits, though {_few(splits)} may be splits; name splits train, val and test, or {insist}"
        )
    elif all(map(VIEWS.fullmatch, held)) and len(set(map(frozenset, held.values()))) == 1:
        listing.warnings.append(
            f"{read}; they hold files of the same names, and are perhaps views of one thing, which this source cannot "
            f"pair; {insist}"
        )
    elif kinds := [name for name in held if KINDS.fullmatch(name)]:
        listing.warnings.append(
            f"{read}; by the name of {_few(kinds)} they are perhaps views of one thing, which this source cannot pair; "
            f"{insist}"
        )


def _label(
    examples: Iterable[Example], classes: set[str], level: int, directory: pathlib.Path, listing: Listing
) -> None:
    others = []
    for example in examples:
        name = _class(example, level)
        if name in classes:
            item = example.items.setdefault(LABEL, Item(LABEL, LABEL, directory, name))
            if str(item.value).strip() != name:
                others.append(f"{item.path}: {item.value!r} in the folder {name}")
    if others:
        listing.warnings.append(
            f"files with another label than their class folder, which then does not count: {len(others)} ({others[0]})"
        )
