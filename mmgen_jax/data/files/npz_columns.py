"""The arrays of an .npz file by modality and split, which are recognised by their names; see `data/npz.py`."""

from __future__ import annotations

import os
import pathlib
import zipfile
import zlib
from collections.abc import Mapping

import numpy as np

from mmgen_jax.data.files.folder_items import split_name
from mmgen_jax.errors import ConfigError, DataError
from mmgen_jax.modalities import kinds

SPLITS = ("train", "validation", "test")
ALIASES = {
    **{"x": "", "data": "", "y": "label", "img": "image", "caption": "text", "sentence": "text", "clip": "video"},
    **{"classes": "label", "class": "label", "target": "label", "waveform": "audio", "sound": "audio"},
}
ABOUT = ("mask", "classes", "sample_rate")
ROLE = 0xA44A


def held(file: str, seed: int, together: tuple[str, ...]) -> tuple[dict[str, str], list[str], list[str]]:
    """`(kinds, splits, paired)` of a file: `{modality: kind}`; the split of each example, at the default fractions; and
    the splits of the examples that have all modalities of `together`.

    Raises:
      DataError: the file cannot be read.
    """
    columns = Columns(file)
    splits = columns.splits(seed, {"validation": 0.1, "test": 0.1})
    return columns.kinds, splits.tolist(), splits[columns.present(together)].tolist()


def write(file, arrays: Mapping[str, np.ndarray]) -> None:
    """As `numpy.savez`, but an array may have any name, `file` too.

    Args:
      file: a path, or a file that is open for writing bytes.
    """
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)


class Columns:
    """The arrays of a file by modality; the arrays of several splits are joined, one after the other."""

    def __init__(self, file: str):
        """Raises DataError where the arrays cannot be read or do not fit together, ConfigError without a file."""
        if not file:
            raise ConfigError(
                "data.file: expected an .npz file, got none; name your data behind the config, npz=FILE or folder=PATH"
            )
        self._file, path = file, pathlib.Path(os.path.expanduser(file))
        if not path.is_file():
            got, advice = ("a folder", "read it by folder=PATH") if path.is_dir() else ("nothing", "correct the path")
            raise DataError(file, "data", "file", "an .npz file", got, advice)
        try:
            self._arrays = np.load(path, allow_pickle=False)
            names = list(self._arrays.files)
        except (OSError, ValueError, AttributeError, zipfile.BadZipFile) as error:
            raise DataError(file, "data", "file", "an .npz file", error, "write it with numpy.savez") from error
        self._parts: dict[str, dict[str, str]] = {}  # {modality: {split or "": array}}
        about: dict[str, dict[str, str]] = {}  # by the name of the array, which may be no modality's name
        called: dict[str, str] = {}
        self._lengths: dict[tuple[str, str], int] = {}  # {(modality, split or ""): examples}
        self.kinds: dict[str, str] = {}
        for key in names:
            stem, _, what = key.rpartition("/")
            if what in ABOUT and stem:
                about.setdefault(_named(stem)[0] or stem, {})[what] = key
                continue
            name, part = _named(key)
            array = self._array(key)
            kind = _kind(name, array)
            called[name or key] = name = name or kind
            self.kinds[name] = kind
            self._parts.setdefault(name, {})[part] = key
            self._lengths[name, part] = len(array)
        if lost := [key for name, keys in about.items() if name not in called for key in keys.values()]:
            raise DataError(file, lost[0], "name", "an array named as the part before /", "none", "rename it")
        self._about = {called[name]: keys for name, keys in about.items()}
        self._check()

    def _array(self, key: str) -> np.ndarray:
        try:
            array = self._arrays[key]
        except (MemoryError, OSError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(
                self._file, key, "array", "a whole array that fits in memory", error, "save it again"
            ) from error
        except ValueError as error:
            advice = "save strings as numpy strings: np.array(texts, dtype=str)"
            raise DataError(self._file, key, "dtype", "numbers or strings", error, advice) from error
        if array.dtype == object or array.ndim == 0:
            raise DataError(self._file, key, "shape", "an array with the examples first", array.dtype, "leave it out")
        if array.dtype.kind != "S":
            return array
        try:
            return np.char.decode(array, "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(self._file, key, "encoding", "texts in UTF-8", error, "save them as UTF-8") from error

    def _check(self) -> None:
        if not self._parts:
            raise DataError(self._file, "data", "file", "at least one array", "none", "write it with numpy.savez")
        first, parts = next(iter(self._parts.items()))
        for name, own in self._parts.items():
            if set(own) != set(parts):
                advice = "give every modality the same splits"
                expected, got = (", ".join(sorted(filter(None, of))) or "none" for of in (parts, own))
                raise DataError(self._file, name, "splits", expected, got, advice)
            for part in parts:
                if (got := self._lengths[name, part]) != (expected := self._lengths[first, part]):
                    where = f"{name} {part}".strip()
                    advice = "give every array one entry for each example"
                    raise DataError(self._file, where, "length", f"{expected} as {first} has", got, advice)
        self._order = [part for part in ("", *SPLITS) if part in parts]
        self._sizes = {part: self._lengths[first, part] for part in self._order}
        for name, about in self._about.items():
            expected, key = [sum(self._sizes.values())], about.get("mask")
            if key and (got := list(self._arrays[key].shape)) != expected:
                raise DataError(self._file, f"{name}/mask", "shape", expected, got, "give one value for each example")
            if (key := about.get("sample_rate")) and (got := self._arrays[key]).size != 1:
                raise DataError(self._file, key, "shape", "one number", list(got.shape), "resample to one rate")

    def read(self, name: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The array `[N, …]` of a modality, and the file's arrays about it (mask, classes, sample rate)."""
        parts = _of_one_width([self._array(self._parts[name][part]) for part in self._order])
        return np.concatenate(parts), {key: self._arrays[at] for key, at in self._about.get(name, {}).items()}

    def mask(self, name: str) -> np.ndarray:
        """`[N] bool`: which examples have a modality, by its mask; of several texts an example, at least one."""
        key = self._about.get(name, {}).get("mask")
        mask = self._arrays[key].astype(bool) if key else np.ones(sum(self._sizes.values()), bool)
        if (
            not kinds.find(self.kinds[name]).has_vocabulary
            or (texts := self.read(name)[0]).ndim != 2
            or texts.dtype.kind != "U"
        ):
            return mask
        return mask & (np.char.strip(texts) != "").any(1)

    def present(self, names: tuple[str, ...]) -> np.ndarray:
        """`[N] bool`: which examples have all of `names`."""
        if not set(names) <= set(self.kinds):
            return np.zeros(sum(self._sizes.values()), bool)
        return np.logical_and.reduce([self.mask(name) for name in names])

    def splits(self, seed: int, fractions: Mapping[str, float]) -> np.ndarray:
        """`[N]`: the name of each example's split."""
        found = np.concatenate([np.full(size, part or "train", "U10") for part, size in self._sizes.items()])
        for part, fraction in fractions.items():
            if part in self._sizes or not fraction:
                continue
            training = np.flatnonzero(found == "train")
            count = max(round(fraction * sum(self._sizes.values())), 1) if len(training) > 2 else 0
            role = ROLE + SPLITS.index(part)
            found[np.random.default_rng([seed, role]).permutation(training)[:count]] = part
        return found


def _of_one_width(parts: list[np.ndarray]) -> list[np.ndarray]:
    """Arrays of one modality; texts `[N]` and `[N, K]` become texts of one K, filled with empty strings."""
    if any(part.dtype.kind != "U" for part in parts) or {part.ndim for part in parts} - {1, 2} or len(parts) == 1:
        return parts
    if all(part.ndim == 1 for part in parts):
        return parts
    parts = [part.reshape(len(part), -1) for part in parts]
    most = max(part.shape[1] for part in parts)
    return [np.pad(part, ((0, 0), (0, most - part.shape[1])), constant_values="") for part in parts]


def _named(key: str) -> tuple[str, str]:
    """The modality and split that a key names: `x_train` gives the split `train`, and leaves the modality open ("")."""
    part, words = "", key.lower().replace("-", "_").split("_")
    for at in (0, -1):
        if len(words) > 1 and (part := split_name(words[at])):
            words.pop(at)
            break
    name = "_".join(words)
    return alias(name, name if part else key), part


def alias(name: str, default: str) -> str:
    """The modality that `name` stands for, in upper or lower case or plural; "" where the name leaves it open."""
    names = (name.lower(), name.lower().removesuffix("s"))
    known = {kind: kind for kind in kinds.names()} | ALIASES
    return next((known[name] for name in names if name in known), default)


def _kind(name: str, array: np.ndarray) -> str:
    if name in kinds.names():
        return name
    if array.dtype.kind in "US":
        return "text"
    if array.ndim == 1:
        return "label"
    if array.ndim == 5:
        return "video"
    return "image" if array.ndim == 4 or array.dtype == np.uint8 else "vector"
