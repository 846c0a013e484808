"""`manifest.jsonl`: a line is an example, and its fields are modalities. Only the examples of the manifest are used.

A field whose name is a kind (`text`, `image`, …) is of this kind. A field of any other name is of the kind of the file
that it names, or a vector of the numbers that it holds; `{"label": "red"}` and `{"text": "a cat"}` say the kind.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
from typing import Any

from mmgen_jax.data.files.folder_items import Example, Item, Listing, is_class, misplaced, modalities, order, split_name
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
    manifest, used, lacking, known = directory / NAME, {NAME}, [], {}
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
            items, split = _line(directory, where := f"{manifest}:{number}", line)
            for name, item in items.items():
                if (before := known.get(name, item.kind)) != item.kind:
                    expected = f"a field of one kind, {before} as in the lines before"
                    raise DataError(where, name, "kind", expected, item.kind, "rename one of them")
            known.update((name, item.kind) for name, item in items.items())
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
        kind, value = (name, value) if name in known else _kind_of(directory, where, name, value)
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


def _kind_of(directory: pathlib.Path, where: str, name: str, value: Any) -> tuple[str, Any]:
    """The kind of a field whose name is no kind, and its value without the kind."""
    if re.fullmatch(r"\w[\w-]*", name):
        if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in modalities():
            return next(iter(value.items()))
        if isinstance(value, str) and kinds.of_file(value):
            return str(kinds.of_content(_inside(directory, where, name, value))), value
        for kind in modalities():
            if kinds.find(kind).any_name and isinstance(value, kinds.find(kind).inline or ()):
                return kind, value
    expected = f"{', '.join(modalities())}, {SPLIT}, or another word with a file, numbers or {{kind: value}}"
    advice = f'write {{"label": {json.dumps(value)[:20]}}} or {{"text": …}}, rename or remove it'
    raise DataError(where, name, "field", expected, f"{name!r}: {json.dumps(value)[:40]}", advice)


def _said(items: dict[str, Item]) -> str:
    """The text in a line without files; without a text, its first value as JSON."""
    said = [item.value for item in items.values() if not is_class(item.kind)]
    said = said or [str(item.path) for item in items.values()]  # a class alone does not distinguish lines
    return next((value.strip() for value in said if isinstance(value, str)), json.dumps(said[0]))


def _inside(directory: pathlib.Path, where: str, name: str, value: str) -> pathlib.Path:
    """The path that a line names; raises DataError where it is no place in the folder."""
    relative = pathlib.PurePosixPath(value)
    if relative.is_absolute() or ".." in relative.parts or not relative.parts or "\0" in value:
        expected = "a path inside the folder, relative to it"
        raise DataError(where, name, "path", expected, f"{value!r}", "move the file into the folder")
    path = directory / relative
    try:
        problem = misplaced(path, directory)
    except OSError as error:  # a name that is too long
        raise DataError(where, name, "path", "the name of a file", error, "correct the line") from error
    if problem:
        raise DataError(where, name, "path", problem[0], f"{value!r}, {problem[1]}", problem[2])
    return path


def _file(directory: pathlib.Path, where: str, name: str, kind: str, value: str) -> Item:
    path = _inside(directory, where, name, value)
    holder = kinds.of_content(path)
    tracks = kinds.find(holder).tracks.items() if holder else ()
    has_track = any(track == kind and path.suffix.lower() in suffixes for track, suffixes in tracks)
    if holder != kind and not has_track:
        expected = f"a file that ends in {', '.join(kinds.find(kind).suffixes)}"
        raise DataError(where, name, "path", expected, f"{value!r}", "convert the file or correct the line")
    if not os.path.lexists(path):
        raise DataError(where, name, "path", f"a file {path}", "nothing", "put it there or remove the field")
    return Item(name, kind, path, holder=holder if holder and has_track else "")
