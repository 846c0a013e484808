"""Examples by the names of their files: shared stems, parallel folders, splits of the user's own."""

from __future__ import annotations

import collections
import pathlib
import unicodedata
from collections.abc import Sequence

from mmgen_jax.data.files import folder_sidecars, folder_splits
from mmgen_jax.data.files.folder_items import (
    Example,
    File,
    Item,
    Listing,
    Parts,
    media_or_all,
    order,
    without_level,
)
from mmgen_jax.errors import DataError
from mmgen_jax.modalities import kinds


def file_of(path: pathlib.Path, directory: pathlib.Path) -> File | None:
    """The `File` of a path; None where no kind has the suffix."""
    kind = kinds.of_content(path)
    if kind is None:
        return None
    relative = path.relative_to(directory).with_suffix("")
    return File(path, tuple(unicodedata.normalize("NFC", part) for part in relative.parts), kind)


def examples(
    files: Sequence[File], directory: pathlib.Path, layout: str, listing: Listing, labelled: bool = True
) -> dict[Parts, Example]:
    """The examples by key: the parts of their files, without the folder that tells parallel folders apart.

    Args:
      layout: `stems` ignores splits, parallel folders and classes; `folders` or `classes` demands this layout.
      labelled: whether folders may be classes.
    """
    plain = layout == "stems"
    files, splits = (files, None) if plain else folder_splits.find(files, listing)
    level = None if plain or layout == "classes" else _parallel_level(files, directory, layout, listing)
    groups: dict[Parts, list[File]] = {}
    for file in files:
        groups.setdefault(without_level(file.parts, level), []).append(file)
    groups = groups if plain else _without_case(groups, listing)
    folder_sidecars.drop_documents(groups, listing)
    facts = folder_sidecars.take_facts(groups, listing)
    shards = folder_sidecars.drop_descriptions(groups, listing)
    if layout not in ("stems", "folders"):
        folder_sidecars.drop_numbers(groups, listing)
    labelled = labelled and not plain and not shards and layout != "folders"
    split_level = splits and splits.level - (level is not None and level < splits.level)
    found = {}
    for key in sorted(groups):
        folders = without_level(key, split_level)[:-1] if labelled else ()
        found[key] = Example(
            "/".join(key), _items(groups[key], listing), splits.of(groups[key]) if splits else "", folders
        )
        if own := facts.get(key):
            found[key].items |= {own.label.modality: own.label} if own.label else {}
            found[key].split = own.split or found[key].split
    if splits:
        listing.layout.append(folder_splits.found(found.values()))
    return found


def with_tracks(items: dict[str, Item]) -> dict[str, Item]:
    """The items, and the tracks of their files (the sound of a clip) where no file of the track's kind is there."""
    found = dict(items)
    for item in items.values():
        for kind, suffixes in kinds.find(item.kind).tracks.items():
            if item.value is None and item.path.suffix.lower() in suffixes:
                found.setdefault(kind, Item(kind, kind, item.path, holder=item.kind))
    return found


def _items(files: Sequence[File], listing: Listing) -> dict[str, Item]:
    items: dict[str, Item] = {}
    for file in files:
        kind = file.kind
        if sum(other.kind == kind for other in files) > 1:
            kind = kinds.of_file(file.path) or kind  # a still GIF is no second picture
        if kind in items:
            got = f"{items[kind].path.name} and {file.path.name}"
            listing.problems.append(
                DataError(file.path, kind, "stem", f"one {kind} file per stem", got, "rename or remove one of them")
            )
        items.setdefault(kind, Item(kind, kind, file.path))
    return with_tracks({name: items[name] for name in sorted(items, key=order)})


def _parallel_level(files: Sequence[File], directory: pathlib.Path, layout: str, listing: Listing) -> int | None:
    """The level of the folders of kinds (`images/1.png`, `captions/1.txt`); None without, or where stems make pairs.

    Here, names that differ only in case are equal; but two files of one kind conflict only if their case agrees too.
    """
    stems: dict[Parts, set[str]] = {}
    for file in files:
        stems.setdefault(file.parts, set()).add(file.kind)
    anchors, paired = media_or_all(files), any(len(found) > 1 for found in stems.values())
    for level in range(0 if paired else max((len(file.parts) - 1 for file in anchors), default=0)):
        folders: dict[str, set[str]] = {}
        pairs: dict[Parts, list[File]] = {}
        for file in files:
            if len(file.parts) - 1 > level:
                folders.setdefault(file.parts[level], set()).add(file.kind)
                pairs.setdefault(tuple(map(str.casefold, without_level(file.parts, level))), []).append(file)
        joined = [group for group in pairs.values() if len({file.kind for file in group}) > 1]
        rarest = min(collections.Counter(file.kind for file in files).values())
        if any(len(found) > 1 for found in folders.values()) or 2 * len(joined) < rarest or not joined:
            continue
        distinct = [{(file.kind, without_level(file.parts, level)) for file in group} for group in joined]
        double = next((group for group, names in zip(joined, distinct) if len(names) < len(group)), None)
        if double:
            got = " and ".join(sorted({file.parts[level] for file in double}))
            advice = "keep one of a kind, or set data.layout='stems' to pair files of one folder alone"
            listing.problems.append(
                DataError(directory, "data", "layout", "one folder of each kind of file", f"{got}, of one name", advice)
            )
            return None
        listing.layout.append(
            f"parallel folders {', '.join(sorted(filter(None, folders)))}: files of one name are one example"
        )
        return level
    if layout == "folders":
        advice = "name the files that belong together alike, or leave data.layout out"
        expected = "a folder for each kind, with files of the same names"
        listing.problems.append(DataError(directory, "data", "layout", expected, "none", advice))
    return None


def _without_case(groups: dict[Parts, list[File]], listing: Listing) -> dict[Parts, list[File]]:
    """`Cat0.PNG` and `cat0.txt` become one example, unless the example would have two files of one kind."""
    alike: dict[Parts, list[Parts]] = {}
    for key in groups:
        alike.setdefault(tuple(part.casefold() for part in key), []).append(key)
    found, merged = {}, 0
    for keys in alike.values():
        files = [file for key in keys for file in groups[key]]
        if len(keys) > 1 and len({file.kind for file in files}) == len(files):
            first = min(keys, key=lambda key: min(order(file.kind) for file in groups[key]))
            found[first], merged = files, merged + 1
        else:
            found |= {key: groups[key] for key in keys}
    if merged:
        listing.layout.append(f"names that differ in case alone are one example: {merged}")
    return found
