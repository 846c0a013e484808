"""Data from a notebook, as the .npz file that a run reads: arrays, rows, HuggingFace data sets and those of PyTorch.

Neither library is imported: an object is taken by what it can do.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mmgen_jax.config import own_data
from mmgen_jax.config.schema import Config
from mmgen_jax.data.files.folder_items import split_name
from mmgen_jax.data.files.npz_columns import alias
from mmgen_jax.errors import ConfigError, InputError
from mmgen_jax.modalities import kinds

FILE = "data.npz"  # in the workdir, of a run on data that was no file


def attach(config: Config, source: Any, workdir: pathlib.Path, names: Mapping[str, str] | Sequence[str] = ()) -> Config:
    """The config on `source`; see `api.train` for what a source may be.

    Raises:
      InputError: a source that is none of these, or examples that do not fit together.
      ConfigError: the workdir holds a run on other data.
    """
    if isinstance(source, (str, os.PathLike)):
        path = pathlib.Path(os.path.expanduser(source))
        fields = {"name": "npz", "file": str(path)} if path.suffix == ".npz" else {}
        return own_data.onto(config, fields or {"name": "folder", "directory": str(path)})
    side = config.data.get("image_size", 32)
    arrays = to_arrays(source, names, side)
    workdir.mkdir(parents=True, exist_ok=True)
    file = workdir / FILE
    if (workdir / "config.json").is_file():
        _check_same(file, arrays)
    else:
        temporary = file.with_name(f".{FILE}")
        with temporary.open("wb") as opened:
            np.savez(opened, allow_pickle=False, **arrays)
        temporary.replace(file)
    return own_data.onto(config, {"name": "npz", "file": str(file)})


def to_arrays(source: Any, names: Mapping[str, str] | Sequence[str] = (), side: int = 32) -> dict[str, np.ndarray]:
    """`{"image": [N, …], "label/classes": …}`, or `{"image_train": …}` of a source with splits, as `data/npz.py` reads.

    Args:
      names: what the source's fields are called here, `{"img": "image"}`; of tuples, one name for each place.
      side: of square pictures, where the source's own have several sizes.
    """
    if isinstance(source, Mapping) and source and all(map(split_name, source)):
        found: dict[str, np.ndarray] = {}
        for part, rows in source.items():
            for key, array in to_arrays(rows, names, side).items():
                name, slash, about = key.partition("/")
                shared = about in ("classes", "sample_rate")
                found[key if shared else f"{name}_{split_name(part)}{slash}{about}"] = array
        if masks := [key for key in found if key.endswith("/mask")]:
            raise InputError(
                f"source: {masks[0]}: expected every field in the examples of a split; give all examples without splits"
            )
        return found
    if isinstance(source, Mapping):
        found = {}
        for key, values in source.items():
            found |= _column(_name(key, names), list(values), side)
        return found
    rows = [_row(row, names) for row in _rows(source)]
    if not rows:
        raise InputError("source: expected at least one example, got none")
    found = {}
    for name in dict.fromkeys(key for row in rows for key in row):
        found |= _column(name, [row.get(name) for row in rows], side)
    for field, feature in dict(getattr(source, "features", None) or {}).items():  # a ClassLabel has the names
        name = _name(field, names)
        if name in found and getattr(feature, "names", None) and np.issubdtype(found[name].dtype, np.integer):
            found[f"{name}/classes"] = np.array(feature.names, str)
    inner = getattr(source, "dataset", source)  # of a part or a loader of torchvision's sets, which have `classes`
    classes = getattr(inner, "classes", None)
    if isinstance(classes, (list, tuple)) and "label" in found and np.issubdtype(found["label"].dtype, np.integer):
        found["label/classes"] = np.array(classes, str)
    return found


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


def _row(row: Any, names: Mapping[str, str] | Sequence[str]) -> dict[str, Any]:
    if hasattr(row, "keys"):
        return {_name(key, names): row[key] for key in row}
    if not isinstance(row, (tuple, list)):
        row = (row,)
    if names and not isinstance(names, Mapping):
        if len(names) != len(row):
            raise InputError(f"source: names: expected one for each of {len(row)} places, got {', '.join(names)}")
        return dict(zip(names, row))
    found = {}
    for value in row:
        name = _guessed(value)
        if name is None or name in found:
            raise InputError(f"source: expected names=(…) for the {len(row)} places of a row, got {names or 'none'}")
        found[name] = value
    return found


def _name(key: str, names: Mapping[str, str] | Sequence[str]) -> str:
    given = names.get(key) if isinstance(names, Mapping) else None
    return given or alias(key, key) or key


def _guessed(value: Any) -> str | None:
    """The name of a value that stands in a tuple: a picture, a text or a class."""
    if isinstance(value, str):
        return "text"
    if isinstance(value, (int, np.integer)) or (hasattr(value, "ndim") and value.ndim == 0):
        return "label"
    return "image" if hasattr(value, "convert") or getattr(value, "ndim", 0) in (2, 3) else None


def _column(name: str, values: list[Any], side: int) -> dict[str, np.ndarray]:
    """A field of every example as arrays; None is an example that lacks it."""
    name = alias(name, name) or name
    missing = np.array([value is None for value in values])
    present = [value for value in values if value is not None]
    if not present:
        return {}
    about: dict[str, np.ndarray] = {}
    if not isinstance(present[0], (np.ndarray, str, list, tuple, int, float, np.generic)) and _is_sound(present[0]):
        about[f"{name}/sample_rate"] = np.array(int(present[0]["sampling_rate"]))
        present = [np.asarray(value["array"], np.float32) for value in present]
    if name in kinds.names() and kinds.find(name).eight_bits:
        present = [_pixels(name, value) for value in present]
    elif not isinstance(present[0], str):
        present = [_array(value) for value in present]
    shapes = {np.shape(value) for value in present}
    if len(shapes) > 1:
        present = _of_one_shape(name, present, side)
    array = np.array(present, str) if isinstance(present[0], str) else np.stack(present)
    if missing.any():
        whole = np.zeros((len(values), *array.shape[1:]), array.dtype)
        whole[~missing] = array
        array, about[f"{name}/mask"] = whole, ~missing
    return {name: array, **about}


def _is_sound(value: Any) -> bool:
    """Whether a value is a recording as HuggingFace has it, with `array` and `sampling_rate`."""
    try:
        return value["sampling_rate"] > 0 and value["array"] is not None
    except (TypeError, KeyError, IndexError, AttributeError, ValueError):
        return False


def _pixels(name: str, value: Any) -> np.ndarray:
    """A PIL image, tensor or array as an array with channels last."""
    if hasattr(value, "convert"):
        return np.asarray(value.convert("L" if value.mode in ("1", "L", "I;16") else "RGB"))
    channels_first = hasattr(value, "numpy")  # a tensor's
    array = _array(value)
    if channels_first and array.ndim >= 3 and array.shape[-3] in (1, 3):
        array = np.moveaxis(array, -3, -1)
    if array.ndim < 2:
        raise InputError(f"source: {name}: expected pictures, got shape {list(array.shape)}; set names=…")
    return array


def _array(value: Any) -> np.ndarray:
    """Of a number, an array or a tensor."""
    return np.asarray(value.numpy() if hasattr(value, "numpy") else value)


def _of_one_shape(name: str, values: list[Any], side: int) -> list[np.ndarray]:
    """Pictures of several sizes at `side`, recordings of several lengths padded to the longest."""
    ranks = {np.ndim(value) for value in values}
    if name == "image" and ranks <= {2, 3}:
        from PIL import Image

        from mmgen_jax.modalities import image

        if any(value.dtype != np.uint8 for value in values):
            raise InputError("source: image: expected pictures of several sizes as uint8, got floats; convert them")
        channels = 3 if any(value.ndim == 3 and value.shape[-1] == 3 for value in values) else 1
        pictures = (Image.fromarray(value[..., 0] if value.shape[2:] == (1,) else value) for value in values)
        arrays = (image.to_array(picture, (side, side, channels)) for picture in pictures)
        return [np.round((array + 1) * 127.5).astype(np.uint8) for array in arrays]
    if ranks == {1}:
        longest = max(map(len, values))
        return [np.pad(value, (0, longest - len(value))) for value in values]
    shapes = sorted({np.shape(value) for value in values})
    raise InputError(f"source: {name}: expected one shape for all examples, got {shapes[0]} and {shapes[1]}; mend them")


def _check_same(file: pathlib.Path, arrays: Mapping[str, np.ndarray]) -> None:
    before = dict(np.load(file, allow_pickle=False)) if file.is_file() else {}
    if set(before) != set(arrays) or not all(np.array_equal(before[key], arrays[key]) for key in arrays):
        raise ConfigError(
            f"--workdir={file.parent}: holds a run on other data; use another workdir, or the data it began with"
        )
