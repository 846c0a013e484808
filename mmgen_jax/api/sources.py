"""Data from a notebook, as the .npz file that a run reads: arrays, rows, data sets of HuggingFace and of PyTorch.

Neither library is imported: a data set is recognised by its methods (duck typing).
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mmgen_jax.api import columns
from mmgen_jax.config import own_data
from mmgen_jax.config.override import override
from mmgen_jax.config.schema import Config
from mmgen_jax.data.files import npz_columns
from mmgen_jax.data.files.folder_items import split_name
from mmgen_jax.data.files.npz_columns import ABOUT, alias
from mmgen_jax.errors import ConfigError, DataError, InputError
from mmgen_jax.lookup import nearest
from mmgen_jax.runs.workdir import check_free

FILE = "data.npz"  # in the workdir, of a run on data that was no file
Names = Mapping[str, str | None] | Sequence[str | None]


@dataclasses.dataclass(frozen=True)
class Table:
    """The fields of a split.

    Args:
      values: `{field: the value of every example}`, None where an example lacks the field.
      about: `{field: {"classes", "sample_rate", "mask"}}`, any of these, as the arrays beside an array of an .npz file.
    """

    values: Mapping[str, list[Any]]
    about: Mapping[str, dict[str, Any]]


def attach(
    config: Config,
    source: Any,
    workdir: pathlib.Path,
    names: Names = (),
    changes: Mapping[str, Any] | None = None,
    check: Callable[[Config], Any] = lambda config: None,
) -> Config:
    """The config on `source`, with `changes`; see `api.train`. A source that is not a path is written to the workdir.

    Args:
      check: raises an error for a config that cannot be trained; then nothing is written.

    Raises:
      InputError: a source that is none of these, or examples that do not fit together.
      ConfigError: the workdir holds a run on other data, or other files.
    """
    if isinstance(source, (str, os.PathLike)):
        config = own_data.onto(config, own_data.place(source, (changes or {}).get("data.layout", "")))
        return override(config, changes or {}, say=print)
    arrays = to_arrays(source, names, config.data.get("image_size", 32))
    file = workdir / FILE
    if (workdir / "config.json").is_file():
        _check_same(file, arrays)
        return override(own_data.onto(config, {"name": "npz", "file": str(file)}), changes or {}, say=print)
    check_free(workdir)
    there = next(place for place in (workdir, *workdir.absolute().parents) if place.is_dir())
    with tempfile.TemporaryDirectory(prefix=".mmgen", dir=there) as folder:
        temporary = pathlib.Path(folder) / FILE
        with temporary.open("wb") as opened:
            npz_columns.write(opened, arrays)
        try:
            config = own_data.onto(config, {"name": "npz", "file": str(temporary)})
            check(config := override(config, changes or {}, say=print))
        except DataError as error:
            if error.args[0] != str(temporary):  # of other data, as of an evaluator
                raise
            raise DataError("source", *error.args[1:]) from error
        except ConfigError as error:
            raise type(error)(str(error).replace(str(temporary), "source")) from error
        workdir.mkdir(parents=True, exist_ok=True)
        temporary.replace(file)
    config = config.copy_and_resolve_references().unlock()
    config.data.file = str(file)
    return config.lock()


def to_arrays(source: Any, names: Names = (), side: int = 32) -> dict[str, np.ndarray]:
    """`{"image": [N, …], "label/classes": …}`, or `{"image_train": …}` of a source with splits, as `data/npz.py` reads.

    Args:
      names: what the source's fields are called here, `{"img": "image"}`; of tuples, one name for each place. A field
        or split that is called None is left out.
      side: of square pictures, where the source's own have several sizes.

    Raises:
      InputError: a field that is no modality, or names that the fields do not have.
    """
    tables = {part: _table(rows, names) for part, rows in _splits(source, names).items()}
    called = _called(tables, names, splits=source if isinstance(source, Mapping) else ())
    found: dict[str, np.ndarray] = {}
    for part, table in tables.items():
        for field, name in called.items():
            column = columns.Column(part, field, name, isinstance(names, Mapping) or not names)
            if field not in table.values:
                raise column.refused("every field in every split", f"no such field in {part}")
            arrays = column.arrays(table.values[field], side)
            if not arrays and part:
                raise column.refused("a value in some example", "none")
            for what, value in table.about.get(field, {}).items():
                if arrays and (what != "classes" or np.issubdtype(arrays[name].dtype, np.integer)):
                    arrays[f"{name}/{what}"] = np.asarray(value, str if what == "classes" else None)
            if part and f"{name}/mask" in arrays:
                raise column.refused("a value in every example of a split, or all examples without splits", "None")
            for key, array in arrays.items():
                found[f"{name}_{part}" if part and key == name else key] = array
    if not found:
        raise InputError("source: expected at least one field, got none")
    return found


def _splits(source: Any, names: Names) -> dict[str, Any]:
    """`{split: rows}`, or `{"": source}` of a source without splits."""
    if not isinstance(source, Mapping) or not any(map(split_name, source)):
        return {"": source}
    left_out = [key for key in source if isinstance(names, Mapping) and names.get(key, key) is None]
    splits = {key: rows for key, rows in source.items() if key not in left_out}
    if unknown := [key for key in splits if not split_name(key)]:
        raise InputError(
            f"source: {unknown[0]}: expected the splits train, validation or test, got {', '.join(source)}; leave it "
            f"out: names={{{unknown[0]!r}: None}}"
        )
    if not splits:
        raise InputError(f"source: expected at least one split, got names={names} of {', '.join(source)}")
    found = {split_name(key): rows for key, rows in splits.items()}
    if len(found) < len(splits):
        raise InputError(f"source: expected each split once, got {', '.join(splits)}; join them")
    return found


def _table(source: Any, names: Names) -> Table:
    if isinstance(source, Mapping):
        values, about = {}, {}
        for key, value in source.items():
            field, _, what = str(key).rpartition("/")
            if field and what in ABOUT:
                about.setdefault(field, {})[what] = value
            elif isinstance(value, str) or not hasattr(value, "__iter__"):
                raise InputError(f"source: {key}: expected a value of every example, got {value!r}")
            else:
                values[str(key)] = list(value)
        return Table(values, about)
    rows = [_row(row, names) for row in _rows(source)]
    if not rows:
        raise InputError("source: expected at least one example, got none")
    values = {field: [row.get(field) for row in rows] for field in dict.fromkeys(key for row in rows for key in row)}
    features = dict(getattr(source, "features", None) or {})  # of HuggingFace: a ClassLabel has the names
    classes = {field: feature.names for field, feature in features.items() if getattr(feature, "names", None)}
    inner = getattr(source, "dataset", source)  # of a part or a loader of torchvision's sets, which have `classes`
    if isinstance(getattr(inner, "classes", None), (list, tuple)):
        classes |= {field: inner.classes for field in values if alias(field, field) == "label"}
    return Table(values, {field: {"classes": names} for field, names in classes.items()})


def _rows(source: Any) -> Iterable[Any]:
    if hasattr(source, "dataset") and hasattr(source, "batch_size"):  # a loader of batches
        source = source.dataset
    if hasattr(source, "__getitem__") and hasattr(source, "__len__"):
        return (source[i] for i in range(len(source)))
    if hasattr(source, "__iter__"):
        return source
    raise InputError(
        f"source: expected arrays by name, rows, a path or a data set with len and [], got {type(source).__name__}"
    )


def _row(row: Any, names: Names) -> dict[str, Any]:
    if hasattr(row, "keys"):
        return {key: row[key] for key in row}
    if not isinstance(row, (tuple, list)):
        row = (row,)
    if names and not isinstance(names, Mapping):
        if len(names) != len(row):
            got = ", ".join(map(str, names))
            raise InputError(f"source: names: expected one for each of {len(row)} places, got {got}")
        return {name: value for name, value in zip(names, row) if name is not None}
    found = {}
    for value in row:
        name = _guessed(value)
        if name is None or name in found:
            raise InputError(f"source: expected names=(…) for the {len(row)} places of a row, got {names or 'none'}")
        found[name] = value
    return found


def _called(tables: Mapping[str, Table], names: Names, splits: Iterable[str]) -> dict[str, str]:
    """`{field: the modality's name}` of the fields that are not left out."""
    fields = list(dict.fromkeys(field for table in tables.values() for field in table.values))
    given = names if isinstance(names, Mapping) else {}
    if unknown := [field for field in given if field not in {*fields, *splits}]:
        raise InputError(
            f"source: names: no field {unknown[0]!r}; {nearest(unknown[0], fields)}the fields are: {', '.join(fields)}"
        )
    called: dict[str, str] = {}
    for field in fields:
        name = given.get(field, alias(field, field) or field)
        if name is None:
            continue
        if other := next((other for other in called if called[other] == name), None):
            raise InputError(
                f"source: {field}: expected one field called {name}, got {other} as well; rename one or leave it out: "
                f"names={{{field!r}: None}}"
            )
        called[field] = name
    return called


def _guessed(value: Any) -> str | None:
    """The name of a value that stands in a tuple: a picture, a text or a class."""
    if isinstance(value, str):
        return "text"
    if isinstance(value, (int, np.integer)) or (hasattr(value, "ndim") and value.ndim == 0):
        return "label"
    return "image" if hasattr(value, "convert") or getattr(value, "ndim", 0) in (2, 3) else None


def _check_same(file: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> None:
    before = dict(np.load(file, allow_pickle=False)) if file.is_file() else {}
    if set(before) != set(arrays) or not all(np.array_equal(before[key], arrays[key]) for key in arrays):
        raise ConfigError(
            f"--workdir={file.parent}: holds a run on other data; use another workdir, or the data it began with"
        )
