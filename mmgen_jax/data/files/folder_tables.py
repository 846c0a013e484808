"""Tables with captions, classes or splits of a folder's files: CSV, TSV, JSON lines, COCO and similar formats.

A table is recognised by its content: one of its columns names files of the folder. Its other columns are recognised by
their names (below), or in a file without a header by their content.
"""

from __future__ import annotations

import csv
import dataclasses
import itertools
import json
import pathlib
import posixpath
import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from mmgen_jax.data.files.folder_items import Example, split_and_rest, split_name
from mmgen_jax.errors import DataError
from mmgen_jax.modalities import kinds
from mmgen_jax.modalities.lines import decoded

FILES = ("file_name", "filename", "file", "filepath", "file_path", "path", "image", "image_name", "image_path")
FILES += ("image_file", "img", "audio", "audio_file", "audio_path", "wav", "video", "video_path", "clip", "id", "key")
FILES += ("image_id", "name")
TEXTS = ("text", "caption", "captions", "sentence", "transcript", "transcription", "description", "comment", "title")
TEXTS += ("prompt",)
LABELS = ("label", "class", "category", "class_name")
SPLIT_COLUMNS = ("split", "subset", "partition", "set")
DELIMITERS = {".csv": ",;\t|", ".tsv": "\t"}  # of another suffix: _OTHER
_OTHER = "\t,|;"
NO_OBJECT = "one JSON object", "none", "mend the line"  # arguments of DataError
SAMPLE = 200  # rows that are read to recognise the columns

Key = tuple[str, ...]


class Names:
    """Finds the example that a cell names: by a path relative to the table or the folder, by a file's name or stem."""

    def __init__(self, directory: pathlib.Path, found: Mapping[Key, Example]):
        self._by_path: dict[str, Key] = {}
        self._by_name: dict[str, Key | None] = {}  # None for a name that several examples have
        self._folders: set[str] = set()
        for key, example in found.items():
            for item in example.items.values():
                if item.value is not None:
                    continue
                path = _folded(item.path.relative_to(directory).as_posix())
                self._folders.update(path.split("/")[:-1])
                for whole in (path, path.rpartition(".")[0]):
                    self._by_path[whole] = key
                    name = whole.rpartition("/")[2]
                    if self._by_name.setdefault(name, key) != key:
                        self._by_name[name] = None

    def find(self, cell: Any, folder: str, stems: bool = True) -> Key | None:
        """The key of the example, None for no example or several; `stems`: whether the suffix may be missing."""
        if isinstance(cell, bool) or not isinstance(cell, str | int) or cell == "":
            return None
        path = re.sub(r"#\d+$", "", _folded(str(cell).strip().replace("\\", "/")))
        if not stems and kinds.of_file(path) is None:
            return None
        parts = posixpath.normpath(path).split("/")
        candidates = ["/".join(parts[i:]) for i in range(len(parts))]  # a path of another machine ends in a path here
        for candidate in (posixpath.normpath(posixpath.join(_folded(folder), path)), *candidates):
            if candidate in self._by_path:
                return self._by_path[candidate]
        return None if self._folders & set(parts[:-1]) else self._by_name.get(parts[-1])


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


@dataclasses.dataclass(frozen=True)
class Row:
    """`where` is the table with the number of the line; `files` are cells that name a file."""

    where: str
    files: tuple[Any, ...]
    texts: tuple[str, ...]
    label: Any
    split: str


@dataclasses.dataclass(frozen=True)
class Table:
    path: pathlib.Path
    rows: list[Row]
    columns: dict[str, str]  # the role of each column, "" for an unused column
    folder: str  # the folder of the table, relative to the directory
    bad: tuple[DataError, ...] = ()  # lines that cannot be read
    warning: str = ""
    lacks_split: tuple[str, ...] = ()  # lines without a split in a column of splits

    @property
    def name(self) -> str:
        """The path of the table below the directory."""
        return posixpath.join(self.folder, self.path.name).removeprefix("./")

    @property
    def gives(self) -> set[str]:
        """Those of `text`, `label` and `split` that the table gives."""
        rows = self.rows
        found = {"text": any(r.texts for r in rows), "label": any(r.label is not None for r in rows)}
        found["split"] = any(r.split for r in rows)
        return {name for name, given in found.items() if given}

    def __str__(self) -> str:
        used = ", ".join(f"{name} ({role})" for name, role in self.columns.items() if role)
        unused = ", ".join(name for name, role in self.columns.items() if not role)
        by_name = "; the split by its name" if "split" in self.gives and "split" not in self.columns.values() else ""
        return f"{self.name}: {len(self.rows)} lines; {used}{by_name}" + (f"; not used: {unused}" if unused else "")


def read(path: pathlib.Path, directory: pathlib.Path, names: Names) -> Table | None:
    """The table of a file; None where no column names files.

    Raises:
      DataError: the file cannot be read, or is neither UTF-8 nor UTF-16 with its byte order mark.
    """
    try:
        content = decoded(path.read_bytes())
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(path, "data", "table", "a readable UTF-8 file", error, "save it as UTF-8 text") from error
    folder = path.relative_to(directory).parent.as_posix()
    lines = content.replace("\r\n", "\n").split("\n")
    match path.suffix.lower():
        case ".jsonl":
            rows = [(number, _object(line)) for number, line in enumerate(lines, 1) if line.strip()]
            table = _table(path, folder, [(number, row) for number, row in rows if row is not None], names)
            bad = (DataError(f"{path}:{n}", "data", "json", *NO_OBJECT) for n, row in rows if row is None)
            return table and dataclasses.replace(table, bad=tuple(bad))
        case ".json":
            return _table(path, folder, list(enumerate(_json_rows(content), 1)), names)
    best = None
    for delimiter in DELIMITERS.get(path.suffix.lower(), _OTHER):
        if not any(delimiter in line for line in lines[:SAMPLE]) and delimiter != _OTHER[-1]:
            continue
        table = _table(path, folder, _delimited(lines[:SAMPLE], delimiter, names, folder), names)
        if table and (best is None or len(table.gives) > len(best[1].gives)):
            best = delimiter, table
    return best and _table(path, folder, _delimited(lines, best[0], names, folder), names)


def _table(path: pathlib.Path, folder: str, rows: list[tuple[int, dict[str, Any]]], names: Names) -> Table | None:
    sample = [row for _, row in rows[:SAMPLE]]
    columns = list(dict.fromkeys(itertools.chain(*sample)))
    roles = dict.fromkeys(columns, "")
    named = {column: _known(column) for column in columns}
    if path.suffix.lower() in DELIMITERS and columns[:1] == ["column 1"]:
        named["column 1"] = "id"  # in a table, unlike in a text, the first words may be names without suffixes
    files = [
        column
        for column in columns
        if 2 * sum(_names_file(row.get(column), folder, names, named[column] in FILES) for row in sample) >= len(sample)
    ]
    files = _file_columns(files, named, sample, folder, names)
    if not files:
        return None
    roles |= dict.fromkeys(files, "file")
    warning, lacks_split = "", ()
    rest = [column for column in columns if not roles[column]]
    for role, known in (("text", TEXTS), ("label", LABELS), ("split", SPLIT_COLUMNS)):
        words = {c: re.sub(r"_?\d+$", "", named[c]) if role == "text" else named[c] for c in rest}  # `caption2`
        column = min((c for c in rest if words[c] in known), key=lambda c: known.index(words[c]), default=None)
        if role == "split" and column:
            odd = [(number, cell) for number, row in rows if not split_name(cell := row.get(column) or "")]
            filled = [f"{path}:{number}: {cell!r}" for number, cell in odd if cell != ""]
            lacks_split = tuple(filled or (f"{path}:{number}" for number, _ in odd))
            if len(odd) == len(rows) or len(filled) > len(rows) - len(odd):
                if filled:
                    warning = f"{filled[0]} in {column} is no split, nor are most others: the column is not used"
                column, lacks_split = None, ()
        if column:
            roles |= {c: role for c in rest if c == column or (role == "text" and words[c] == words[column])}
    if "text" not in roles.values() and columns[0].startswith("column "):
        column = next((c for c in rest if not roles[c] and _is_prose(sample, c, folder, names)), None)
        roles |= {column: "text"} if column else {}
    texts = [column for column, role in roles.items() if role == "text"]
    of_role = {role: column for column, role in roles.items() if role in ("label", "split")}
    split = split_and_rest(path.stem)[0]
    found = []
    for number, row in rows:
        label, part = (row.get(of_role[role]) if role in of_role else None for role in ("label", "split"))
        found.append(
            Row(
                f"{path}:{number}",
                tuple(_cell(row[column]) for column in files if row.get(column) not in (None, "")),
                tuple(itertools.chain(*(_texts(row.get(column)) for column in texts))),
                label if isinstance(label, str | int) and label != "" else None,
                split_name(part or "") or split,
            )
        )
    return Table(path, found, roles, folder, warning=warning, lacks_split=lacks_split)


def _file_columns(columns: list[str], named: Mapping[str, str], sample, folder: str, names: Names) -> list[str]:
    """Of the columns that name files: the first in the order of FILES, and all that name files with suffixes."""
    known = sorted((c for c in columns if named[c] in FILES), key=lambda c: FILES.index(named[c])) or columns[:1]
    return known[:1] + [
        column
        for column in known[1:]
        if 2 * sum(_names_file(row.get(column), folder, names, False) for row in sample) >= len(sample)
    ]


def _known(column: str) -> str:
    return re.sub(r"[\s-]+", "_", column.strip().lower())


def _names_file(cell: Any, folder: str, names: Names, stems: bool) -> bool:
    return names.find(cell, folder, stems) is not None


def _is_prose(sample: list[dict[str, Any]], column: str, folder: str, names: Names) -> bool:
    """Whether most cells hold letters and are no file's name."""
    cells = [str(row.get(column, "")) for row in sample]
    prose = [any(map(str.isalpha, cell)) and not names.find(cell, folder, stems=False) for cell in cells]
    return 2 * sum(prose) > len(cells)


def _cell(value: Any) -> str | int:
    return value if isinstance(value, str | int) else json.dumps(value)


def _texts(value: Any) -> Iterator[str]:
    for text in value if isinstance(value, list | tuple) else [value]:
        if isinstance(text, str) and text.strip():
            yield text.strip()


def _delimited(lines: list[str], delimiter: str, names: Names, folder: str) -> list[tuple[int, dict[str, Any]]]:
    """Rows by column; in a file without a header the columns are `column 1`, …"""
    quoting = csv.QUOTE_NONE if delimiter in "\t|" else csv.QUOTE_MINIMAL
    reader = csv.reader(lines, delimiter=delimiter, quoting=quoting, skipinitialspace=True)
    try:
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error:
        return []
    if not rows:
        return []
    first = rows[0][1]
    is_header = not any(names.find(cell, folder, stems=False) for cell in first)
    is_header &= _known(first[0]) in FILES + TEXTS + LABELS or names.find(first[0], folder) is None
    header = [cell.strip() for cell in first] if is_header else [f"column {i + 1}" for i in range(len(first))]
    found = []
    for number, row in rows[1:] if is_header else rows:
        if len(row) > len(header) > 1:  # an unquoted delimiter in the last column, which is mostly the text
            row = [*row[: len(header) - 1], delimiter.join(row[len(header) - 1 :])]
        found.append((number, dict(zip(header, row))))
    return found


def _object(line: str) -> dict[str, Any] | None:
    """The JSON object of a line; None for a line without an object."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _json_rows(content: str) -> list[dict[str, Any]]:
    """Rows of COCO captions, of Karpathy's splits, of `{file: caption}`, and of a list of objects."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return []
    if isinstance(value, list):
        return [row for row in value if isinstance(row, dict)]
    if not isinstance(value, dict):
        return []
    images, annotations = (_objects(value.get(name)) for name in ("images", "annotations"))
    if images and any("sentences" in image for image in images):
        return [
            {
                "file_name": image.get("filename"),
                "caption": [sentence.get("raw") for sentence in _objects(image.get("sentences"))],
                "split": image.get("split", ""),
            }
            for image in images
        ]
    if images and annotations:
        files = {image.get("id"): image.get("file_name") for image in images}
        return [
            {"file_name": files.get(a.get("image_id")), "caption": a["caption"]} for a in annotations if "caption" in a
        ]
    if all(isinstance(text, str | list) and not _objects(text) for text in value.values()):
        return [{"file_name": name, "caption": text} for name, text in value.items()]
    return next((rows for rows in map(_objects, value.values()) if rows), [])


def _objects(value: Any) -> list[dict[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
