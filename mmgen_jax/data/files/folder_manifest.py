"""`manifest.jsonl`: a line is an example, and its fields are modalities. Only the examples of the manifest are used."""

from __future__ import annotations

import json
import os
import pathlib
import re
from typing import Any

from mmgen_jax.data.files.folder_items import LABEL, Example, Item, Listing, misplaced, modalities, order, split_name
from mmgen_jax.data.files.folder_stems import with_tracks
from mmgen_jax.errors import DataError, InputError
from mmgen_jax.modalities import kinds
from mmgen_jax.modalities.lines import decoded

NAME = "manifest.jsonl"
SPLIT = "split"  # a field that is no modality


def read(directory: pathlib.Path, listing: Listing) -> set[str]:
    """Adds the manifest's examples to `listing`; returns the files that they use, relative to the folder.

    Lines with the same first file are one group, so that this file is not in two splits.
    """
    manifest, used, lacking = directory / NAME, {NAME}, []
    if problem := misplaced(manifest, directory):
        listing.problems.append(DataError(manifest, "data", "path", *problem))
        return used
    try:
        lines = decoded(manifest.read_bytes()).split("\n")
    except (OSError, UnicodeDecodeError) as error:
        listing.problems.append(
            DataError(manifest, "data", "manifest", "a readable UTF-8 file", error, "save it as UTF-8 text")
        )
        return used
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            items, split = _line(directory, f"{manifest}:{number}", line)
        except DataError as error:
            listing.bad.append(error)
            continue
        files = [item.path.relative_to(directory).as_posix() for item in items.values() if item.value is None]
        used.update(files)
        listing.examples.append(Example(files[0] if files else _said(items), with_tracks(items), split))
        if not split:
            lacking.append(f"{manifest}:{number}")
    if len(lacking) < len(listing.examples):
        listing.split_by[NAME] = next(iter(lacking), "")
    listing.layout.append(f"{NAME}: {len(listing.examples)} examples, which alone are used")
    return used


def _line(directory: pathlib.Path, where: str, line: str) -> tuple[dict[str, Item], str]:
    """The items of a line, and its split."""

    def unique(pairs: list[tuple]) -> dict:
        if len(dict(pairs)) < len(pairs):
            raise InputError("a field twice")
        return dict(pairs)

    try:
        fields = json.loads(line, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        raise DataError(where, "data", "json", "one JSON object", error, "mend the line") from error
    known = modalities()
    if not isinstance(fields, dict) or not fields.keys() - {SPLIT}:
        got = type(fields).__name__ if fields else "no field"
        raise DataError(where, "data", "json", f"an object with fields of {', '.join(known)}", got, "mend the line")
    split = ""
    if SPLIT in fields:
        split = split_name(value := fields.pop(SPLIT))
        if not split:
            raise DataError(where, "data", SPLIT, "train, validation or test", repr(value), "mend the line")
    items = {}
    for name, value in fields.items():
        kind = name if name in known else _kind_of(where, name, value)
        inline = kinds.find(kind).inline
        if inline and isinstance(value, inline) and not isinstance(value, bool):
            value = tuple(value) if isinstance(value, list) and kinds.find(kind).has_vocabulary else value
            items[name] = Item(name, kind, pathlib.Path(where), value)
        elif isinstance(value, str) and kinds.find(kind).suffixes:
            items[name] = _file(directory, where, name, kind, value)
        else:
            expected, got = _forms(kind), f"{json.dumps(value)[:40]}"
            raise DataError(where, name, "value", expected, got, "leave out the field of a missing partner")
    return {name: items[name] for name in sorted(items, key=order)}, split


def _forms(kind: str) -> str:
    """The types of value that a field of a kind may have, for a message."""
    words = {str: "a string", list: "a list", int: "an integer"}
    inline = kinds.find(kind).inline or ()
    forms = [words[form] for form in (inline if isinstance(inline, tuple) else (inline,))]
    files = ["a string"] if kinds.find(kind).suffixes else []
    return " or ".join(dict.fromkeys([*files, *forms]))


def _kind_of(where: str, name: str, value: Any) -> str:
    """The kind of a field whose name is no kind: a kind that may have any name, recognised by the value."""
    free = [kind for kind in modalities() if kinds.find(kind).any_name]
    for kind in free:
        fits = isinstance(value, kinds.find(kind).inline or ()) or (
            isinstance(value, str) and kinds.of_file(value) == kind
        )
        if fits and re.fullmatch(r"\w[\w-]*", name):
            return kind
    others = ", ".join(f"any other word for a {kind}" for kind in free)
    expected = f"fields of {', '.join(modalities())}, {SPLIT}, or {others}"
    raise DataError(where, name, "field", expected, f"{name!r}: {json.dumps(value)[:40]}", "rename or remove it")


def _said(items: dict[str, Item]) -> str:
    """The text in a line without files; without a text, its first value as JSON."""
    said = [item.value for item in items.values() if item.modality != LABEL]
    said = said or [str(item.path) for item in items.values()]  # a class alone does not distinguish lines
    return next((value.strip() for value in said if isinstance(value, str)), json.dumps(said[0]))


def _file(directory: pathlib.Path, where: str, name: str, kind: str, value: str) -> Item:
    relative = pathlib.PurePosixPath(value)
    if relative.is_absolute() or ".." in relative.parts or not relative.parts or "\0" in value:
        expected = "a path inside the folder, relative to it"
        raise DataError(where, name, "path", expected, f"{value!r}", "move the file into the folder")
    path = directory / relative
    if problem := misplaced(path, directory):
        raise DataError(where, name, "path", problem[0], f"{value!r}, {problem[1]}", problem[2])
    holder = kinds.of_content(path)
    tracks = kinds.find(holder).tracks.items() if holder else ()
    has_track = any(track == kind and relative.suffix.lower() in suffixes for track, suffixes in tracks)
    if holder != kind and not has_track:
        expected = f"a file that ends in {', '.join(kinds.find(kind).suffixes)}"
        raise DataError(where, name, "path", expected, f"{value!r}", "convert the file or correct the line")
    if not os.path.lexists(path):
        raise DataError(where, name, "path", f"a file {path}", "nothing", "put it there or remove the field")
    return Item(name, kind, path, holder=holder if holder and has_track else "")
