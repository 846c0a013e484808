"""Joins the captions, classes and splits in tables to the examples of a folder."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

from mmgen_jax.data.files.folder_items import LABEL, Example, Item, Listing, order, text_kind
from mmgen_jax.data.files.folder_tables import Key, Names, Row, Table
from mmgen_jax.errors import DataError

Keys = tuple[Key, ...]  # of the examples whose files a line names


@dataclasses.dataclass
class _Said:
    """The content of all lines that name the same files: each text once, and the tables that gave the texts.

    `labels` and `splits` map each value to the first line that gave the value.
    """

    where: str
    texts: dict[str, None] = dataclasses.field(default_factory=dict)
    tables: dict[str, set[str]] = dataclasses.field(default_factory=dict)
    labels: dict[Any, str] = dataclasses.field(default_factory=dict)
    splits: dict[str, str] = dataclasses.field(default_factory=dict)

    def add(self, row: Row, table: Table) -> None:
        self.texts |= dict.fromkeys(row.texts)
        if row.texts:
            self.tables.setdefault(table.name, set()).update(row.texts)
        if row.label is not None:
            self.labels.setdefault(row.label, row.where)
        if row.split:
            self.splits.setdefault(row.split, row.where)

    @property
    def split(self) -> str:
        """The split that keeps the files out of training, if any line gives it."""
        return next((split for split in ("test", "validation", "train") if split in self.splits), "")


def join(found: dict[Key, Example], tables: Sequence[Table], names: Names, layout: str, listing: Listing) -> None:
    """Adds the content of the tables to the examples of their files; a line with several files joins their examples.

    Args:
      found: changed in place.
      layout: the name of a table; its texts then replace the texts of files.
    """
    said: dict[Keys, _Said] = {}
    for table in tables:
        for row in table.rows:
            found_keys = {cell: names.find(cell, table.folder) for cell in row.files}
            keys = tuple(dict.fromkeys(key for key in found_keys.values() if key))
            if not keys or None in found_keys.values():
                cell = next((repr(cell) for cell, key in found_keys.items() if key is None), "no name")
                advice = "put it there or remove the line"
                listing.bad.append(DataError(row.where, "data", "path", "a file of the folder", cell, advice))
                continue
            said.setdefault(keys, _Said(row.where)).add(row, table)
        listing.bad += table.bad
        listing.layout.append(str(table))
        if "split" in table.columns.values():
            listing.split_by[table.name] = next(iter(table.lacks_split), "")
    if problem := _ambiguous(found, said, layout, listing.root):
        listing.problems.append(problem)
        return
    _warn_of_several(said, listing)
    before, moved = dict(found), []
    for keys, what in said.items():
        items = {name: item for key in reversed(keys) for name, item in before[key].items.items()}
        where = pathlib.Path(what.where)
        if what.texts:
            texts = list(what.texts)
            value = tuple(texts) if len(texts) > 1 else texts[0]
            items[text_kind()] = Item(text_kind(), text_kind(), where, value)
        if what.labels:
            items[LABEL] = Item(LABEL, LABEL, where, next(iter(what.labels)))
        first = before[first_key := next(iter(keys))]
        items = {name: items[name] for name in sorted(items, key=order)}
        place = first_key if len(keys) == 1 else (*first_key, *map("/".join, keys))
        found[place] = dataclasses.replace(first, items=items, split=what.split or first.split)
        if what.split == "train" and first.split in ("validation", "test"):
            moved.append(f"{where} of {first.group}")
    named = {key for keys in said for key in keys}
    alone = {next(iter(keys)) for keys in said if len(keys) == 1}
    for key in named - alone:  # the joined example takes its place
        del found[key]
    if moved:
        few = f"{len(moved)} ({moved[0]})"
        listing.warnings.append(f"lines that move a file from your validation or test folder into training: {few}")
    texts = [table.name for table in tables if "text" in table.gives]
    lacking = [e.group for key, e in found.items() if key not in named and not e.items.keys() & {text_kind()}]
    if texts and lacking:
        few = ", ".join(lacking[:3]) + (", …" if len(lacking) > 3 else "")
        listing.warnings.append(f"{len(lacking)} examples have no text, which {' and '.join(texts)} may lack: {few}")


def _warn_of_several(said: dict[Keys, _Said], listing: Listing) -> None:
    """Warns of files with several labels or splits."""
    labels = [what.labels for what in said.values() if len({str(label).strip() for label in what.labels}) > 1]
    splits = [what.splits for what in said.values() if len(what.splits) > 1]
    for found, what in ((labels, "labels, of which the first counts"), (splits, "splits; none trains on them")):
        if found:
            few = " and ".join(f"{value!r} ({where})" for value, where in list(found[0].items())[:2])
            listing.warnings.append(f"files whose lines give several {what}: {len(found)}, first {few}")


def _ambiguous(
    found: dict[Key, Example], said: dict[Keys, _Said], layout: str, directory: pathlib.Path
) -> DataError | None:
    """The problem where an example would have texts of two tables, or of a table and of a file; else None."""
    for keys, what in said.items():
        tables = list(what.tables)
        files = [found[key].items[text_kind()].path.name for key in keys if text_kind() in found[key].items]
        if len(set(map(frozenset, what.tables.values()))) > 1 or (tables and files and not layout):
            got = " and ".join([*tables, *files][:2])
            advice = f"set data.layout={tables[0]!r} for that table alone, or 'stems' for the files without tables"
            return DataError(directory, "data", "layout", "one text for an example", f"{got}, both of one", advice)
    return None
