"""What a folder of media files holds: examples by shared stem or by `manifest.jsonl`, problems, and what is ignored."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import pathlib
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from mmgen_jax.errors import DataError, InputError
from mmgen_jax.modalities import kinds

FIRST = ("text", "image", "audio", "video")  # the order of the modalities; any other one comes after, by name
MANIFEST = "manifest.jsonl"


def modalities() -> list[str]:
    """The kinds that have files, which are also the names of the modalities that files without a manifest give."""
    return sorted((kind for kind in kinds.names() if kinds.find(kind).suffixes), key=order)


def order(name: str) -> tuple[int, str]:
    """What modalities are sorted by."""
    return (FIRST.index(name) if name in FIRST else len(FIRST)), name


@dataclasses.dataclass(frozen=True)
class Item:
    """One modality of one example: a file of the folder, or what a manifest's line holds itself.

    The file may be of another kind, one that holds such a track or not: the sound of a clip.
    """

    modality: str
    kind: str
    path: pathlib.Path  # of a `value`: the manifest's, with the line number as in `manifest.jsonl:3`
    value: Any = None  # a caption or numbers; None of a file


@dataclasses.dataclass
class Listing:
    """Args:
    examples: (group, its items by modality); examples of one group fall in the same split.
    problems: each would make training fail.
    ignored: a line for each file that is not used, and why.
    """

    examples: list[tuple[str, dict[str, Item]]] = dataclasses.field(default_factory=list)
    problems: list[DataError] = dataclasses.field(default_factory=list)
    ignored: list[str] = dataclasses.field(default_factory=list)


def read(directory) -> Listing:
    """The listing of a folder: by its manifest if it has one, else by stem. Opens no media file."""
    directory, listing = pathlib.Path(directory), Listing()
    if not directory.is_dir():
        got = "a file" if directory.exists() else "nothing"
        listing.problems.append(
            DataError(directory, "data", "directory", "a folder", got, "set data.directory to the folder of your files")
        )
        return listing
    by_manifest = os.path.lexists(directory / MANIFEST)
    (_by_manifest if by_manifest else _by_stem)(directory, listing)
    if not listing.examples and not listing.problems:
        suffixes = ", ".join(suffix for kind in modalities() for suffix in kinds.find(kind).suffixes)
        got = f"an empty {MANIFEST}" if by_manifest else f"none ({len(listing.ignored)} other files)"
        listing.problems.append(
            DataError(directory, "data", "files", f"files that end in {suffixes}", got, "put some there")
        )
    return listing


def _by_stem(directory: pathlib.Path, listing: Listing) -> None:
    """An example is the files that share their path up to the suffix, after Unicode NFC: `a/1.png` and `a/1.txt`."""
    examples: dict[str, dict[str, Item]] = {}
    for path in _walk(directory, listing):
        kind = kinds.of_file(path)
        if kind is None:
            listing.ignored.append(f"{path}: unknown suffix {path.suffix!r}")
            continue
        stem = unicodedata.normalize("NFC", path.relative_to(directory).with_suffix("").as_posix())
        items = examples.setdefault(stem, {})
        if kind in items:
            got = f"{items[kind].path.name} and {path.name}"
            listing.problems.append(
                DataError(path, kind, "stem", f"one {kind} file per stem", got, "rename or remove one of them")
            )
        items.setdefault(kind, Item(kind, kind, path))
    listing.examples = [(stem, _with_tracks(items)) for stem, items in sorted(examples.items())]


def _walk(directory: pathlib.Path, listing: Listing) -> Iterator[pathlib.Path]:
    """Every file under the folder in a fixed order, but for hidden ones; links to folders are not followed."""

    def unreadable(error: OSError) -> None:
        listing.problems.append(
            DataError(
                error.filename, "data", "directory", "a readable folder", error.strerror, "change its permissions"
            )
        )

    for folder, folders, files in os.walk(directory, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (pathlib.Path(folder, name) for name in list(folders)):
            if kind := kinds.of_file(path):
                listing.problems.append(DataError(path, kind, "file", "a file", "a folder", "rename or remove it"))
            elif path.is_symlink():
                listing.ignored.append(f"{path}: a link to a folder, not followed")
        yield from (pathlib.Path(folder, name) for name in sorted(files) if not name.startswith("."))


def _with_tracks(items: dict[str, Item]) -> dict[str, Item]:
    """A file also gives its tracks where no file of their kind does: a clip its sound."""
    found = dict(items)
    for item in items.values():
        for kind, suffixes in kinds.find(item.kind).tracks.items():
            if item.path.suffix.lower() in suffixes:
                found.setdefault(kind, Item(kind, kind, item.path))
    return found


def _by_manifest(directory: pathlib.Path, listing: Listing) -> None:
    """An example is a line. Lines that share their first file are one group, so that no split sees another's file."""
    manifest, used = directory / MANIFEST, {MANIFEST}
    try:
        lines = manifest.read_bytes().decode("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        listing.problems.append(
            DataError(manifest, "data", "manifest", "a readable UTF-8 file", error, "save it as UTF-8 text")
        )
        return
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            items = _line(directory, f"{manifest}:{number}", line)
        except DataError as error:
            listing.problems.append(error)
            continue
        files = [item.path.relative_to(directory).as_posix() for item in items.values() if item.value is None]
        used.update(files)
        listing.examples.append((files[0] if files else _said(items), _with_tracks(items)))
    unused = (path for path in _walk(directory, Listing()) if path.relative_to(directory).as_posix() not in used)
    listing.ignored += [f"{path}: not in {MANIFEST}" for path in unused]


def _line(directory: pathlib.Path, where: str, line: str) -> dict[str, Item]:
    def unique(pairs: list[tuple]) -> dict:
        if len(dict(pairs)) < len(pairs):
            raise InputError("a field twice")
        return dict(pairs)

    try:
        fields = json.loads(line, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise DataError(where, "data", "json", "one JSON object", error, "mend the line") from error
    known = modalities()
    if not isinstance(fields, dict) or not fields:
        got = type(fields).__name__ if fields else "no field"
        raise DataError(where, "data", "json", f"an object with fields of {', '.join(known)}", got, "mend the line")
    items = {}
    for name, value in fields.items():
        kind = name if name in known else _kind_of(where, name, value)
        inline = kinds.find(kind).inline
        if inline and isinstance(value, inline):
            items[name] = Item(name, kind, pathlib.Path(where), value)
        elif isinstance(value, str):
            items[name] = Item(name, kind, _inside(directory, where, name, kind, value))
        else:
            expected, got = "a string" + (" or a list" if inline is list else ""), f"{json.dumps(value)[:40]}"
            raise DataError(where, name, "value", expected, got, "leave out the field of a missing partner")
    return {name: items[name] for name in sorted(items, key=order)}


def _kind_of(where: str, name: str, value: Any) -> str:
    """The kind of a field whose name is none: of those that any name may have, by the value."""
    free = [kind for kind in modalities() if kinds.find(kind).any_name]
    for kind in free:
        fits = isinstance(value, kinds.find(kind).inline or ()) or (
            isinstance(value, str) and kinds.of_file(value) == kind
        )
        if fits and re.fullmatch(r"\w[\w-]*", name):
            return kind
    others = ", ".join(f"any other word for a {kind}" for kind in free)
    expected = f"fields of {', '.join(modalities())}, or {others}"
    raise DataError(where, name, "field", expected, f"{name!r}: {json.dumps(value)[:40]}", "rename or remove it")


def _said(items: dict[str, Item]) -> str:
    """What a line without files says, its text if it has one."""
    said = [item.value for item in items.values()]
    return next((value.strip() for value in said if isinstance(value, str)), json.dumps(said[0]))


def _inside(directory: pathlib.Path, where: str, name: str, kind: str, value: str) -> pathlib.Path:
    relative = pathlib.PurePosixPath(value)
    if relative.is_absolute() or ".." in relative.parts or not relative.parts or "\0" in value:
        expected = "a path inside the folder, relative to it"
        raise DataError(where, name, "path", expected, f"{value!r}", "move the file into the folder")
    if kinds.of_file(relative) != kind:
        expected = f"a file that ends in {', '.join(kinds.find(kind).suffixes)}"
        raise DataError(where, name, "path", expected, f"{value!r}", "convert the file or correct the line")
    path = directory / relative
    if not os.path.lexists(path):
        raise DataError(where, name, "path", f"a file {path}", "nothing", "put it there or remove the field")
    return path


def split_of(groups: list[str], seed: int, validation_fraction: float, test_fraction: float) -> dict[str, str]:
    """The split of every group: ordered by a SHA-256 of (seed, group), the first go to test, the next to validation.

    At least one group goes to each part whose fraction is above 0, where there are 3 groups.
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
