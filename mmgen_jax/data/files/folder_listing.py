"""The listing of a folder of media files: its layout, examples, problems, warnings, and files that are not used."""

from __future__ import annotations

import collections
import os
import pathlib
import re
from collections.abc import Iterable, Iterator

from mmgen_jax.data.files import (
    folder_classes,
    folder_items,
    folder_joins,
    folder_manifest,
    folder_shards,
    folder_sidecars,
    folder_splits,
    folder_stems,
    folder_tables,
)
from mmgen_jax.data.files.folder_items import LABEL, Example, Item, Listing, is_text, misplaced, suffixes, text_kind
from mmgen_jax.errors import DataError
from mmgen_jax.modalities import kinds

MANIFEST = folder_manifest.NAME
LAYOUTS = ("stems", "folders", "classes")  # values of `data.layout`, beside the name of a table
TABLES = (".csv", ".tsv", ".jsonl")
NO_DATA = (".md", ".rst", ".html", ".htm", ".pdf", ".py", ".ipynb", ".sh", ".log", ".yaml", ".yml", ".toml", ".ini")
NO_DATA += (".cfg", ".db", ".lock", ".md5", ".sha256", ".url")
SUBMISSION = re.compile(r"submission", re.I)  # in the name of a table whose labels are placeholders


def read(directory, layout: str = "") -> Listing:
    """The listing of a folder: by its manifest if it has one, else by stems, folders, tables or shards.

    Opens no media except GIFs, to see whether they move, and shards, which are unpacked.

    Args:
      layout: "" to recognise the layout; `stems`, to try no other layout; `folders`, for parallel folders; `classes`,
        for class folders; or the name of a table, to use this table alone.
    """
    directory = pathlib.Path(directory)
    listing = Listing(directory)
    if not directory.is_dir():
        got = "a file" if directory.exists() else "nothing"
        listing.problems.append(
            DataError(directory, "data", "directory", "a folder", got, "set data.directory to the folder of your files")
        )
        return listing
    if os.path.lexists(directory / MANIFEST) and layout in ("", MANIFEST):
        used = folder_manifest.read(directory, listing)
        unused = [
            path for path in _walk(directory, Listing(directory)) if path.relative_to(directory).as_posix() not in used
        ]
        listing.ignored += [f"{path}: not in {MANIFEST}" for path in unused]
        what = f"that are not in {MANIFEST} are not used"
        listing.warn_of([path for path in unused if not _is_no_data(path)], what, "add them to it")
        empty = f"an empty {MANIFEST}"
    else:
        _by_names(directory, layout, listing)
        empty = f"none ({len(listing.ignored)} other files)"
    folder_splits.leave_unsplit(listing)
    own = sorted({example.split for example in listing.examples})
    if own and not {"", "train"} & set(own):
        what = f"every example is of {' or '.join(own)}, so that none could train"
        listing.warnings.append(f"{directory}: {what}; these splits do not count, and all splits are drawn at random")
    if not listing.examples and not listing.problems and not listing.bad:
        expected = f"files that end in {suffixes()}"
        listing.problems.append(DataError(directory, "data", "files", expected, empty, "put some there"))
    return listing


def _by_names(directory: pathlib.Path, layout: str, listing: Listing) -> None:
    paths = list(_walk(directory, listing))
    if layout not in ("", *LAYOUTS) and directory / layout not in paths:
        expected = f"{', '.join(LAYOUTS)} or the name of a table in the folder"
        advice = "set data.layout, or leave it out to have the layout recognised"
        listing.problems.append(DataError(directory, "data", "layout", expected, repr(layout), advice))
        return
    shards = [path for path in paths if folder_shards.is_shard(path)]
    if shards and layout != "stems":
        loose = [path for path in paths if path not in shards and kinds.of_file(path) and not _is_note(path)]
        if any(not is_text(kinds.of_file(path) or "") for path in loose):
            got, advice = (
                f"both ({loose[0].name}, …)",
                "move the one elsewhere, or set data.layout='stems' for the files",
            )
            expected = "shards (.tar) or files"
            listing.problems.append(DataError(directory, "data", "layout", expected, got, advice))
            return
        listing.ignored += [f"{path}: beside shards" for path in paths if path not in shards]
        listing.layout.append(f"WebDataset: {len(shards)} shards, unpacked into the cache")
        try:
            directory = listing.root = folder_shards.unpacked(shards, directory)
        except DataError as error:
            listing.problems.append(error)
            return
        paths = list(_walk(directory, listing))
    else:
        shards = []
    found_files = [folder_stems.file_of(path, directory) for path in paths]
    files = [file for file in found_files if file]
    others = [path for path, file in zip(paths, found_files) if not file]
    found = folder_stems.examples(files, directory, layout, listing, labelled=not shards) if files else {}
    if layout not in LAYOUTS:
        others = _add_tables(found, others, directory, layout, listing)
    folder_splits.leave_outside(found, listing)
    listing.examples = [found[key] for key in sorted(found)]
    if found:
        folder_classes.add(listing.examples, directory, layout, listing)
    if found and not listing.layout:
        listing.layout.append(f"files of one stem are one example: {len(found)} examples")
    for path in others:
        listing.ignored.append(f"{path}: unknown suffix {path.suffix!r}")
    _warn_of_suffixes(listing, others)
    _warn_of_partners(listing, directory)


def _walk(directory: pathlib.Path, listing: Listing) -> Iterator[pathlib.Path]:
    """Every file under the folder except hidden files, in a fixed order; links to folders are not followed.

    A link to a file outside of the folder, and a pipe, are among the bad files.
    """

    def unreadable(error: OSError) -> None:
        listing.problems.append(
            DataError(
                error.filename, "data", "directory", "a readable folder", error.strerror, "change its permissions"
            )
        )

    for folder, folders, files in os.walk(directory, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        for path in (pathlib.Path(folder, name) for name in list(folders)):
            if kind := kinds.of_file(path):
                listing.problems.append(DataError(path, kind, "file", "a file", "a folder", "rename or remove it"))
            elif path.is_symlink():
                listing.ignored.append(f"{path}: a link to a folder, not followed")
                listing.warnings.append(f"{path}: a link to a folder is not followed; put the folder itself there")
        for path in (pathlib.Path(folder, name) for name in sorted(files) if not name.startswith(".")):
            if (path.is_symlink() or not path.is_file()) and (problem := misplaced(path, directory)):
                listing.bad.append(DataError(path, kinds.of_file(path) or "data", "path", *problem))
            else:
                yield path


def _add_tables(
    found: dict[folder_tables.Key, Example],
    others: list[pathlib.Path],
    directory: pathlib.Path,
    layout: str,
    listing: Listing,
) -> list[pathlib.Path]:
    """Joins the tables of the folder to the examples; returns the files of `others` that are not tables."""
    lone = {
        item.path: key
        for key, example in found.items()
        for item in example.items.values()
        if is_text(item.kind) and not example.items.keys() - {item.modality, LABEL}
    }
    has_media, lone_keys = len(lone) < len(found), set(lone.values())
    named = {key: example for key, example in found.items() if not has_media or key not in lone_keys}
    names = folder_tables.Names(directory, named)
    tables, skipped = [], set()
    candidates = [path for path in others if path.suffix.lower() in TABLES] + (list(lone) if has_media else [])
    for path in candidates if layout == "" else [directory / layout]:
        try:
            table = folder_tables.read(path, directory, names)
        except DataError as error:
            if path.suffix.lower() in TABLES or layout:
                listing.bad.append(error)
            table = None
        if table and not layout and SUBMISSION.search(path.stem):
            advice = f"set data.layout={table.name!r} if its values are real"
            listing.warnings.append(f"{path}: not used: by its name, its values are placeholders; {advice}")
            listing.ignored.append(f"{path}: placeholders, by its name")
            skipped.add(path)
            found.pop(lone.get(path, ()), None)
        elif layout and not (table and table.gives):
            expected, got = "a table with a column of files, and one of texts, classes or splits", "none"
            listing.problems.append(DataError(path, "data", "layout", expected, got, "name another, or leave it out"))
        elif table and table.gives:
            tables.append(table)
            listing.warnings += [table.warning] if table.warning else []
            if path in lone:
                del found[lone[path]]
        elif path not in lone:
            what = "names files, but has no column text, caption, label or split" if table else "names no file here"
            listing.warnings.append(f"{path}: not used: it {what}")
        elif path.suffix.lower() == ".json" and not _is_caption(path):
            del found[lone[path]]
            listing.warnings.append(f"{path}: not used: it holds no caption, and names no file of the folder")
            listing.ignored.append(f"{path}: no caption")
    used = {table.path for table in tables} | skipped
    if layout:
        listing.ignored += [f"{path}: not {layout}" for path in candidates if path not in used]
    if tables:
        folder_joins.join(found, tables, names, layout, listing)
    return [path for path in others if path not in used and not (layout and path in candidates)]


def _is_caption(path: pathlib.Path) -> bool:
    try:
        kinds.find(text_kind()).read_texts(path, text_kind())
    except DataError:
        return False
    return True


def _is_note(path: pathlib.Path) -> bool:
    return bool(folder_sidecars.DOCUMENTS.fullmatch(path.stem))


def _is_no_data(path: pathlib.Path) -> bool:
    return _is_note(path) or path.suffix.lower() in NO_DATA or path.name.lower() in ("thumbs.db", "desktop.ini")


def _warn_of_suffixes(listing: Listing, paths: Iterable[pathlib.Path]) -> None:
    by_suffix: dict[str, list[pathlib.Path]] = {}
    for path in paths:
        if not _is_no_data(path) and path.suffix.lower() not in TABLES:
            by_suffix.setdefault(path.suffix.lower(), []).append(path)
    for suffix, same in by_suffix.items():
        what = f"that end in {suffix} are not read" if suffix else "without a suffix are not read"
        listing.warn_of(same, what, "convert them")


def _warn_of_partners(listing: Listing, directory: pathlib.Path) -> None:
    """Warns where no file has a partner although there are several kinds, or where only some of the texts have one."""
    kinds_of = [{item.holder or item.kind for item in _held(example)} for example in listing.examples]
    every = sorted(set().union(*kinds_of))
    if len(every) > 1 and not any(len(found) > 1 for found in kinds_of):
        listing.warnings.append(
            f"{directory}: no example has two of {', '.join(every)}: no file shares its name with one of another kind"
        )
        return
    lone = [e for e, found in zip(listing.examples, kinds_of) if len(found) == 1 and all(map(is_text, found))]
    paired = collections.Counter(kind for found in kinds_of if len(found) > 1 for kind in found)
    if lone and any(is_text(kind) for kind in paired):
        paths = [item.path for example in lone for item in _held(example)]
        what = "whose text belongs to no other file are examples of their own"
        listing.warn_of(paths, what, "name them as their partners")


def _held(example: Example) -> list[Item]:
    return [item for item in example.items.values() if not folder_items.is_class(item.kind)]
