"""Examples by the names of their files: shared stems, parallel folders, class folders, splits of the user's own."""

from __future__ import annotations

import collections
import dataclasses
import json
import pathlib
import re
import unicodedata
from collections.abc import Iterable, Sequence

from mmgen_jax.data.files.folder_items import LABEL, Example, Item, Listing, is_text, order, split_name
from mmgen_jax.errors import DataError
from mmgen_jax.modalities import kinds

Parts = tuple[str, ...]
DOCUMENTS = re.compile(
    r"(read[-_ ]?me|licen[cs]e|copying|notice|changelog|authors|contributing|citation|credits|attribution)\b.*", re.I
)
# Names of folders that are more likely views of one thing than classes.
VIEWS = re.compile(
    r"((train|test|val)?[-_]?[ab]|inputs?|targets?|source|edges?|photos?|rgb|depth|masks?|left|right|low|high|lr|hr"
    r"|clean|noisy|gt|x|y)",
    re.I,
)
CHECKED = 16  # pairs of a .txt and a .json that are read, to see whether the .json describes the .txt


@dataclasses.dataclass(frozen=True)
class File:
    """A file that may belong to an example; `parts` is its path below the folder without the suffix, in Unicode NFC."""

    path: pathlib.Path
    parts: Parts
    kind: str


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
    split_level = None if plain else _split_level(files)
    level = None if plain or layout == "classes" else _parallel_level(files, directory, layout, listing)
    groups: dict[Parts, list[File]] = {}
    for file in files:
        groups.setdefault(_without(file.parts, level), []).append(file)
    groups = groups if plain else _without_case(groups, listing)
    _drop_documents(groups, listing)
    shards = _drop_descriptions(groups, listing)
    found = {}
    for key in sorted(groups):
        split = "" if split_level is None else next(filter(None, (_split(f, split_level) for f in groups[key])), "")
        found[key] = Example("/".join(key), _items(groups[key], listing), split)
    if split_level is not None:
        listing.layout.append(_splits_found(found.values()))
    if not plain and labelled and not shards and layout != "folders":
        removed = None if split_level is None else split_level - (level is not None and level < split_level)
        _add_classes(found, removed, directory, layout, listing)
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


def _without(parts: Parts, level: int | None) -> Parts:
    return parts if level is None or len(parts) - 1 <= level else parts[:level] + parts[level + 1 :]


def _anchors(files: Iterable[File]) -> list[File]:
    """The files whose folders show the layout: all but texts, which may be notes; all files where all are texts."""
    return [file for file in files if not is_text(file.kind)] or list(files)


def _split_level(files: Sequence[File]) -> int | None:
    """The level at which the path of every file has the name of a split, one of them `train`; None without one."""
    anchors = _anchors(files)
    for level in range(min((len(file.parts) - 1 for file in anchors), default=0)):
        names = {split_name(file.parts[level]) for file in anchors}
        if "" not in names and "train" in names:
            return level
    return None


def _split(file: File, level: int) -> str:
    return split_name(file.parts[level]) if len(file.parts) - 1 > level else ""


def _splits_found(found: Iterable[Example]) -> str:
    counts = collections.Counter(example.split for example in found if example.split)
    own = ", ".join(f"{split} {counts[split]}" for split in ("train", "validation", "test") if split in counts)
    missing = [split for split in ("validation", "test") if split not in counts]
    return f"splits of your folders: {own}" + (f"; {' and '.join(missing)} drawn from train" if missing else "")


def _parallel_level(files: Sequence[File], directory: pathlib.Path, layout: str, listing: Listing) -> int | None:
    """The level of the folders of kinds (`images/1.png`, `captions/1.txt`); None without, or where stems make pairs."""
    stems: dict[Parts, set[str]] = {}
    for file in files:
        stems.setdefault(file.parts, set()).add(file.kind)
    anchors, paired = _anchors(files), any(len(found) > 1 for found in stems.values())
    for level in range(0 if paired else min((len(file.parts) - 1 for file in anchors), default=0)):
        folders: dict[str, set[str]] = {}
        pairs: dict[Parts, list[File]] = {}
        for file in files:
            if len(file.parts) - 1 > level:
                folders.setdefault(file.parts[level], set()).add(file.kind)
                pairs.setdefault(_without(file.parts, level), []).append(file)
        joined = [group for group in pairs.values() if len({file.kind for file in group}) > 1]
        rarest = min(collections.Counter(file.kind for file in files).values())
        if any(len(found) > 1 for found in folders.values()) or 2 * len(joined) < rarest or not joined:
            continue
        double = next((group for group in joined if len({file.kind for file in group}) < len(group)), None)
        if double:
            got = " and ".join(sorted({file.parts[level] for file in double}))
            advice = "keep one of a kind, or set data.layout='stems' to pair files of one folder alone"
            listing.problems.append(
                DataError(directory, "data", "layout", "one folder of each kind of file", f"{got}, of one name", advice)
            )
            return None
        listing.layout.append(f"parallel folders {', '.join(sorted(folders))}: files of one name are one example")
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


def _drop_documents(groups: dict[Parts, list[File]], listing: Listing) -> None:
    """Removes README.txt and similar files, which are no examples."""
    for key, files in list(groups.items()):
        if len(groups) > 1 and len(files) == 1 and is_text(files[0].kind) and DOCUMENTS.fullmatch(key[-1]):
            del groups[key]
            listing.ignored.append(f"{files[0].path}: a document about the files")


def _drop_descriptions(groups: dict[Parts, list[File]], listing: Listing) -> bool:
    """Whether there are pairs of a .txt, the caption, and a .json that describes it, as img2dataset writes them.

    The .json files of such pairs are removed from `groups`.
    """
    pairs = []
    for key, files in groups.items():
        texts = sorted((file for file in files if is_text(file.kind)), key=lambda file: file.path.suffix.lower())
        if [file.path.suffix.lower() for file in texts] == [".json", ".txt"] and len(files) > 2:
            pairs.append((key, *texts))
    if not pairs or not all(_describes(*texts) for _, *texts in pairs[:CHECKED]):
        return False
    for key, description, _ in pairs:
        groups[key].remove(description)
    listing.layout.append(f"{len(pairs)} .json files describe files of their name (img2dataset): .txt is the text")
    return True


def _describes(description: File, text: File) -> bool:
    """Whether the captions in a JSON object, if it has any, equal the text."""
    try:
        content = json.loads(description.path.read_text(encoding="utf-8-sig"))
        caption = text.path.read_text(encoding="utf-8-sig").strip()
    except (OSError, ValueError, RecursionError):
        return False
    said = [content.get(key) for key in ("caption", "text")] if isinstance(content, dict) else ["no object"]
    return all(value is None or str(value).strip() == caption for value in said)


def _add_classes(
    found: dict[Parts, Example], split_level: int | None, directory: pathlib.Path, layout: str, listing: Listing
) -> None:
    """Adds a label to each example, where every example lies in a class folder: `cats/1.png`, `dogs/2.png`."""
    folders = {key: _without(key, split_level)[:-1] for key in found}
    inner = [key for key, example in found.items() if not all(is_text(item.kind) for item in example.items.values())]
    inner, level = inner or list(found), 0
    depth = min((len(folders[key]) for key in inner), default=0)
    while level < depth and len({folders[key][level] for key in inner}) == 1:
        level += 1
    names = {folders[key][level] for key in inner} if level < depth else set()
    if len(names) < 2 or 2 * len(names) > len(inner):
        if layout == "classes":
            expected, got = "a folder for each class with two examples or more", f"{len(names)} folders"
            advice = "sort the files so, or leave data.layout out"
            listing.problems.append(DataError(directory, "data", "layout", expected, got, advice))
        return
    held = {name: {key[level + 1 :] for key in inner if folders[key][level] == name} for name in names}
    if all(map(VIEWS.fullmatch, names)) and len({frozenset(stems) for stems in held.values()}) == 1:
        listing.warnings.append(
            f"{directory}: the folders {', '.join(sorted(names))} are read as classes; they hold files of the same "
            "names, and are perhaps views of one thing, which this source cannot pair"
        )
    for key in found:
        if len(folders[key]) > level:
            found[key].items[LABEL] = Item(LABEL, LABEL, directory, folders[key][level])
    few = ", ".join(sorted(names)[:8]) + (", …" if len(names) > 8 else "")
    listing.layout.append(f"class folders: {len(names)} classes, the modality `{LABEL}`: {few}")
