"""Data that is decoded once: a directory of .npy files, which are memory-mapped for reading, and a meta.json.

    <directory>/image.npy               [N, ...]   a field whose examples share one shape
    <directory>/audio.npy               [sum of lengths, ...]   a ragged field, one example after the other
    <directory>/audio.offsets.npy       [N + 1] int64           example i is audio[offsets[i]:offsets[i + 1]]
    <directory>/meta.json               fields, count, attributes, provenance, fingerprint, sha256

`sha256` has the SHA-256 of every file and of the rest of meta.json. `read` compares them once in each process: damaged
data is built again where `cached` knows how, and refused elsewhere. Directories of version 0.1 have no digests.
Texts are ragged fields of UTF-8 bytes. A directory is written under a hidden temporary name, `.<name>.<random>`, and
renamed once complete. So a directory is complete or absent; the temporary directory of a killed process is never read.

    arrays = cached("emoji", inputs=[folder], parameters={"size": 32, "version": 1}, build=decode)
    arrays["image"][indices]            # [B, 32, 32, 4] uint8
    arrays.ragged("audio")[3]           # [S] int16
    arrays.text("caption")[3]           # str
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import hashlib
import json
import os
import pathlib
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mmgen_jax.data.cache import disk
from mmgen_jax.data.cache.arrays_writer import Writer, file_name
from mmgen_jax.errors import Unusable

FORMAT = 1  # of the directory; part of every fingerprint


def cache_dir() -> pathlib.Path:
    """Where decoded data is kept: `$MMGEN_CACHE`, else `~/.cache/mmgen_jax`."""
    return pathlib.Path(os.path.expanduser(os.environ.get("MMGEN_CACHE") or "~/.cache/mmgen_jax"))


def cached(
    name: str,
    inputs: Sequence[str | os.PathLike],
    parameters: Mapping[str, Any],
    build: Callable[[Writer], None],
) -> Arrays:
    """The arrays that `build` writes, built where the cache lacks them for these inputs and parameters.

    The arrays are in `cache_dir()/name/<fingerprint>`. A changed parameter or input (path, size or modification time of
    any file in it) gives another fingerprint and so another directory: arrays are never stale. One process builds;
    others on this host wait. Processes on other hosts may build the same arrays; the first result is kept.

    Args:
      name: of the data set; may hold slashes.
      inputs: the files, or the folders with all their files, that `build` reads.
      parameters: JSON values that the content depends on, with a `version` to raise whenever `build` changes.
      build: writes the examples and attributes, as in `write`.
    """
    provenance = {"inputs": [describe(path) for path in inputs], "parameters": dict(parameters)}
    identity = fingerprint(provenance)
    directory = cache_dir() / name / identity[:16]
    try:
        return read(directory, identity)
    except Unusable:
        with building(directory):
            with contextlib.suppress(Unusable):
                return read(directory, identity)  # another process has built it meanwhile
            with write(directory, provenance) as writer:
                build(writer)
            return read(directory, identity)


def building(path: pathlib.Path) -> contextlib.AbstractContextManager[None]:
    """The lock of a file or folder of the cache: while one process of a host builds it, the others wait."""
    name = hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:16]
    return disk.lock(cache_dir() / ".locks" / f"{name}.lock", wait=True)


def describe(path: str | os.PathLike) -> dict:
    """Path, count, size and a digest of the sizes and modification times of a file or of every file under a folder."""
    path = pathlib.Path(path).resolve()
    if not path.exists():
        raise FileNotFoundError(f"{path}: does not exist")
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    digest, size = hashlib.sha256(), 0
    for file in files:
        status = file.stat()
        size += status.st_size
        digest.update(f"{file.relative_to(path)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return {"path": str(path), "files": len(files), "bytes": size, "sha256_of_stat": digest.hexdigest()}


def fingerprint(provenance: Mapping[str, Any]) -> str:
    """SHA-256 of the provenance and of the directory's format, in hexadecimal digits."""
    return hashlib.sha256(json.dumps([FORMAT, provenance], sort_keys=True).encode()).hexdigest()


@dataclasses.dataclass(frozen=True)
class Ragged(Sequence):
    """Examples of different lengths: `values [sum of lengths, ...]` and `offsets [N + 1]`."""

    values: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> np.ndarray:
        index = range(len(self))[index]  # negative indices, and IndexError past the end
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> np.ndarray:
        return np.diff(self.offsets)

    def window(self, indices: np.ndarray, length: int, starts: np.ndarray | int = 0) -> np.ndarray:
        """`[B, length, ...]`: `length` values of each example from index `starts [B]` on; zeros outside the example."""
        rows = np.zeros((len(indices), length, *self.values.shape[1:]), self.values.dtype)
        for row, index, start in zip(rows, indices, np.broadcast_to(starts, len(indices)).tolist()):
            inside = self[index][max(start, 0) : max(start + length, 0)]
            row[max(-start, 0) :][: len(inside)] = inside
        return rows


@dataclasses.dataclass(frozen=True)
class Texts(Sequence):
    """The texts of a field; a text is decoded when it is indexed."""

    encoded: Ragged

    def __len__(self) -> int:
        return len(self.encoded)

    def __getitem__(self, index: int) -> str:
        return self.encoded[index].tobytes().decode("utf-8")


class Arrays:
    """An opened directory of arrays (by `read`). Pickling keeps the path only: worker processes map the files again."""

    def __init__(self, directory: str | os.PathLike, meta: Mapping[str, Any]):
        self.directory = pathlib.Path(directory)
        self.meta = meta
        self._opened: dict[str, np.ndarray] = {}

    def __reduce__(self):
        return read, (str(self.directory), self.meta["fingerprint"])

    def __len__(self) -> int:
        return self.meta["count"]

    @property
    def fields(self) -> dict[str, str]:
        """The kind of every field: `array`, `ragged` or `text`."""
        return {name: field["kind"] for name, field in self.meta["fields"].items()}

    @property
    def attributes(self) -> dict:
        """JSON values about the whole set that the writer stored: class names, sample rates, …"""
        return self.meta["attributes"]

    def __getitem__(self, name: str) -> np.ndarray:
        """A field whose examples have one shape: `[N, ...]`, memory-mapped."""
        self._check(name, "array")
        return self._open(file_name(name))

    def ragged(self, name: str) -> Ragged:
        """A field whose examples have different lengths."""
        self._check(name, "ragged")
        return self._ragged(name)

    def text(self, name: str) -> Texts:
        """A field of texts."""
        self._check(name, "text")
        return Texts(self._ragged(name))

    def _ragged(self, name: str) -> Ragged:
        return Ragged(self._open(file_name(name)), self._open(file_name(name, ".offsets")))

    def _check(self, name: str, kind: str) -> None:
        if name not in self.fields:
            raise KeyError(f"{self.directory}: no field {name!r}; it has {', '.join(self.fields)}")
        if self.fields[name] != kind:
            access = {"array": "arrays[name]", "ragged": "arrays.ragged(name)", "text": "arrays.text(name)"}
            raise TypeError(
                f"{self.directory}: field {name!r} is {self.fields[name]}; read it by {access[self.fields[name]]}"
            )

    def _open(self, file: str) -> np.ndarray:
        if file not in self._opened:
            path = self.directory / file
            try:
                array = np.load(path, mmap_mode="r", allow_pickle=False)
            except ValueError as error:
                raise Unusable(f"{path}: damaged ({error}); remove {self.directory} and prepare it again") from None
            self._opened[file] = np.asarray(array)  # a plain view: indexing np.memmap itself is several times slower
        return self._opened[file]


def read(directory: str | os.PathLike, fingerprint: str | None = None) -> Arrays:
    """Opens a directory that `write` wrote.

    Args:
      fingerprint: the expected fingerprint; None accepts any.

    Raises:
      Unusable: no such directory, a missing or damaged file, another format, or another fingerprint.
    """
    directory = pathlib.Path(directory)
    try:
        meta = json.loads((directory / "meta.json").read_text(encoding="utf-8"))
        digests = meta.get("sha256", {})
        if digests and digests["meta.json"] != _digest_of(meta):
            raise ValueError("its digest differs")
    except FileNotFoundError:
        raise Unusable(f"{directory}: holds no prepared data (no meta.json)") from None
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise Unusable(f"{directory}: meta.json is damaged ({error}); remove the folder and prepare it again") from None
    if meta.get("format") != FORMAT:
        raise Unusable(f"{directory}: format {meta.get('format')}, expected {FORMAT}; prepare it again")
    if fingerprint not in (None, meta["fingerprint"]):
        raise Unusable(
            f"{directory}: stale, made from other inputs or parameters (expected fingerprint {fingerprint[:16]}, got "
            f"{meta['fingerprint'][:16]}); prepare it again"
        )
    suffixes = {name: ("",) if field["kind"] == "array" else ("", ".offsets") for name, field in meta["fields"].items()}
    files = [directory / file_name(name, suffix) for name, each in suffixes.items() for suffix in each]
    if missing := [file.name for file in files if not file.is_file()]:
        raise Unusable(f"{directory}: {missing[0]} is missing; remove the folder and prepare it again")
    for file in files:
        try:
            about = file.stat()
            if digests and digests[file.name] != _digest(str(file), about.st_ino, about.st_size, about.st_mtime_ns):
                raise Unusable(f"{directory}: {file.name} is damaged; remove the folder and prepare it again")
        except FileNotFoundError:  # `_publish` of another process has moved the directory aside
            raise Unusable(f"{directory}: replaced by another process while it was read; read it again") from None
    return Arrays(directory, meta)


@functools.lru_cache(maxsize=4096)
def _digest(file: str, inode: int, size: int, modified: int) -> str:
    """The SHA-256 of a file; computed once in a process, for an inode, a size and a time of modification."""
    return disk.sha256(pathlib.Path(file))


def _digest_of(meta: Mapping[str, Any]) -> str:
    """The SHA-256 of meta.json without the digest of meta.json itself."""
    files = {name: value for name, value in meta["sha256"].items() if name != "meta.json"}
    return hashlib.sha256(json.dumps({**meta, "sha256": files}, sort_keys=True).encode()).hexdigest()


@contextlib.contextmanager
def write(directory: str | os.PathLike, provenance: Mapping[str, Any]) -> Iterator[Writer]:
    """A context with a `Writer`; `directory` appears when the block ends without an error.

    An existing directory is kept where its provenance is the same, else replaced.

    Args:
      provenance: JSON values: the inputs and parameters of the content. `read` compares their fingerprint.
    """
    directory = pathlib.Path(directory)
    temporary = directory.with_name(f".{directory.name}.{secrets.token_hex(8)}")
    temporary.mkdir(parents=True)
    writer = Writer(temporary)
    try:
        yield writer
        meta = {"format": FORMAT, **writer.close(), "provenance": provenance, "fingerprint": fingerprint(provenance)}
        meta = json.loads(json.dumps(meta))  # as it will be read
        meta["sha256"] = {file.name: disk.sha256(file) for file in sorted(temporary.glob("*.npy"))}
        meta["sha256"]["meta.json"] = _digest_of(meta)
        (temporary / "meta.json").write_text(json.dumps(meta, indent=1, ensure_ascii=False), encoding="utf-8")
        _publish(temporary, directory, meta["fingerprint"])
    finally:
        writer.abandon()
        shutil.rmtree(temporary, ignore_errors=True)


def _publish(temporary: pathlib.Path, directory: pathlib.Path, fingerprint: str) -> None:
    """Renames `temporary` to `directory`. An existing directory is first moved aside: rename needs a free name."""
    while True:
        try:
            temporary.rename(directory)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        with contextlib.suppress(Unusable):
            read(directory, fingerprint)
            return  # another process finished first, and its directory may be in use already
        aside = temporary.with_name(temporary.name + "-replaced")
        with contextlib.suppress(FileNotFoundError):  # another process moved it aside first
            directory.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
