"""The base class of data sets whose files the user provides: the folder, the splits, decoding and reading."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import os
import pathlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

import numpy as np

from mmgen_jax.data.cache import arrays, arrays_writer
from mmgen_jax.errors import DataError, InputError
from mmgen_jax.modalities import containers
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.tokenizer import Tokenizer

CHUNK = 64  # files decoded at a time
LINE_SECONDS = 10.0  # between two lines of progress
DECODING_BYTES = 3 * 2**29  # the most that the decoding of one file may take: a picture of 2^26 pixels of 16 bits


@dataclasses.dataclass(kw_only=True)
class LocalSource:
    """A data set in the folder `$MMGEN_DATA/<module name>`, or in `directory`.

    A subclass fills `modalities`, `_columns` and `_rows` in `_load`, which runs when the source is created. So an
    unusable file stops a run before anything compiles.

    Raises:
      DataError: the folder lacks an entry of `layout`, a file cannot be used, or the split is empty.
      InputError: a field has a value that the set does not support.
    """

    splits: ClassVar[tuple[str, ...]] = ("train", "validation", "test")
    available: ClassVar[tuple[str, ...]]
    layout: ClassVar[tuple[str, ...]]  # files and folders that the set's folder must hold
    home: ClassVar[str]  # where the set can be fetched
    version: ClassVar[int] = 1  # raised where the same files give other splits; a part of the fingerprint
    label_preserving: ClassVar[tuple[str, ...]] = ()  # operations of `training.augment.MEANING`

    split: str = "train"  # or several splits joined by "+"
    names: tuple[str, ...] = ()
    directory: str = ""

    def __post_init__(self):
        self.names = tuple(self.names) or self.available
        self.require("split", ", ".join(self.splits), set(self.split.split("+")) <= set(self.splits))
        self.require("names", f"some of {', '.join(self.available)}", set(self.names) <= set(self.available))
        self.root = self._find()
        self.modalities: dict[str, Modality] = {}
        self._columns: dict[str, np.ndarray | tuple[arrays.Arrays, str]] = {}
        self._rows = np.zeros(0, np.int64)  # the rows of the columns that are in the split
        self._load()
        self.modalities = {name: self.modalities[name] for name in self.names}
        if not len(self._rows):
            raise self.error(self.root, "data", "split", f"examples in {self.split!r}", "none", "add files")

    def _load(self) -> None:
        raise NotImplementedError

    @property
    def set_name(self) -> str:
        return type(self).__module__.rpartition(".")[2]

    def require(self, field: str, expected: str, holds: bool) -> None:
        """Raises InputError for a field of the config unless `holds`; `expected` says what the field must be."""
        if not holds:
            raise InputError(
                f"{self.set_name}.{field}: expected {expected}, got {getattr(self, field)!r}; set it in config.data"
            )

    def error(self, file, modality: str, field: str, expected: str, got, advice: str) -> DataError:
        """A DataError whose advice names the home of the set."""
        return DataError(file, modality, field, expected, got, f"{advice} (home of {self.set_name}: {self.home})")

    def _find(self) -> pathlib.Path:
        base = os.environ.get("MMGEN_DATA", "")
        folder = pathlib.Path(os.path.expanduser(self.directory or os.path.join(base or "$MMGEN_DATA", self.set_name)))
        if missing := [entry for entry in self.layout if not (folder / entry).exists()]:
            got = "MMGEN_DATA not set" if not (base or self.directory) else f"no {missing[0]}"
            advice = "fetch the set, then set MMGEN_DATA to the folder above it, or data.directory to it"
            raise self.error(folder, "data", "directory", f"a folder with {', '.join(self.layout)}", got, advice)
        return folder

    def __len__(self) -> int:
        return len(self._rows)

    def read(self, indices: np.ndarray, epochs: np.ndarray) -> dict[str, np.ndarray]:
        """Examples of the split, the same in every pass."""
        del epochs
        rows = self._rows[np.asarray(indices, np.int64)]
        return {name: self._values(name, rows) for name in self.names}

    def _values(self, name: str, rows: np.ndarray) -> np.ndarray:
        column = self._columns[name]
        return to_float((column if isinstance(column, np.ndarray) else column[0][column[1]])[rows])

    def _decoded(
        self, name: str, files: Sequence[pathlib.Path], modality: Modality, decode: Callable[[pathlib.Path], np.ndarray]
    ) -> tuple[arrays.Arrays, str]:
        """A cached column with `decode(file)` for each file; images and frames as uint8, waveforms as int16."""
        listed = repr([(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files])
        parameters = {
            "version": 1,
            "files": hashlib.sha256(listed.encode()).hexdigest(),
            "shape": modality.shape,
            "sample_rate": modality.sample_rate,
        }

        def build(writer: arrays_writer.Writer) -> None:
            for file in files:  # a truncated file is found before any file is decoded
                containers.check(file, name)
            for values in decode_all(f"{self.set_name}: {name}", files, decode):
                writer.extend({name: to_integer(values)})

        return arrays.cached(f"{self.set_name}/{name}", [], parameters, build), name

    def _texts(self, name: str, texts: Sequence[str], tokenizer: Tokenizer, length: int) -> tuple[Modality, np.ndarray]:
        """The text modality and its column `[N, length] int32`; raises InputError for a text that is too long."""
        longest = max((len(tokenizer.split(text)) for text in texts), default=0)
        if longest >= length:
            raise InputError(
                f"{self.set_name}: {name}: expected at most {length - 1} {tokenizer.unit}s, got {longest}; raise the "
                f"length to {longest + 1}"
            )
        encoded = [tokenizer.encode(text, length) for text in texts]
        return Modality("text", (length,), tokenizer=tokenizer), np.array(encoded, np.int32).reshape(-1, length)


def split_of(group: str) -> str:
    """The split of a group of examples, by the SHA-256 of its name: about 10 % `test`, 10 % `validation`, else `train`.

    The split depends on the name alone: adding or removing a file does not move other files to another split.
    """
    part = hashlib.sha256(group.encode("utf-8")).digest()[0] / 256
    return "test" if part < 0.1 else "validation" if part < 0.2 else "train"


def rows_of(split: str, groups: Sequence[str]) -> np.ndarray:
    """Indices of the examples whose group is in the split, or in one of the splits that `+` joins.

    `groups` has the group of each example.
    """
    return np.flatnonzero([split_of(group) in split.split("+") for group in groups])


def decoders() -> concurrent.futures.ThreadPoolExecutor:
    """Threads that decode files: one a processor, and no more than fit into half of the machine's memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 2**33
    return concurrent.futures.ThreadPoolExecutor(max(1, min(os.cpu_count() or 1, memory // 2 // DECODING_BYTES)))


def decode_all(
    what: str, files: Sequence[pathlib.Path], decode: Callable[[pathlib.Path], np.ndarray]
) -> Iterator[np.ndarray]:
    """Chunks `[n, …]` of the decoded files, in order; prints a line of progress every `LINE_SECONDS`.

    Args:
      what: the start of the line of progress.
    """
    start = said = time.monotonic()
    with decoders() as pool:
        for first in range(0, len(files), CHUNK):
            yield np.stack(list(pool.map(decode, files[first : first + CHUNK])))
            if (now := time.monotonic()) - said > LINE_SECONDS:
                done, said = min(first + CHUNK, len(files)), now
                print(f"{what}: decoded {done} of {len(files)} files, once, in {now - start:.0f} s", flush=True)


def to_integer(values: np.ndarray) -> np.ndarray:
    """float32 in [-1, 1] as stored: uint8 for images and frames (rank above 2), int16 for waveforms `[N, S]`."""
    if values.ndim > 2:
        return np.round((values + 1) * 127.5).astype(np.uint8)
    return np.round(values * 32767).astype(np.int16)


def to_float(values: np.ndarray) -> np.ndarray:
    """The inverse of `to_integer`; int32 (ids) is returned unchanged."""
    if values.dtype == np.uint8:
        values = values.astype(np.float32)
        values /= 127.5
        values -= 1
    elif values.dtype == np.int16:
        values = values * np.float32(1 / 32767)
    return values


def uniform(role: str, epochs: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """`[B]` float64 in [0, 1): a hash of (role, epoch, index), the same in every process."""
    keys = (f"{role}/{epoch}/{index}" for epoch, index in zip(epochs.tolist(), indices.tolist()))
    digests = b"".join(hashlib.blake2b(key.encode(), digest_size=8).digest() for key in keys)
    return (np.frombuffer(digests, "<u8") >> np.uint64(11)) * 2.0**-53
