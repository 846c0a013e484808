"""Files that are whole or absent, and locks between processes."""

from __future__ import annotations

import contextlib
import datetime
import errno
import hashlib
import os
import pathlib
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Iterator

from absl import logging

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


# Functions that a wait for a lock calls a few times a second with the seconds so far; an exception ends the wait. A run
# adds a function that reacts to signals.
while_waiting: list[Callable[[float], None]] = []


class Busy(Exception):
    """Another process holds a lock; the message names its host, process and start."""


def replace(path: pathlib.Path, text: str) -> None:
    """Writes a file by a single rename, after its content is on the disk; a file with this content is left alone.

    A process that is killed at any moment leaves the old file or the new file.
    """
    data = text.encode()
    with contextlib.suppress(FileNotFoundError):
        if path.read_bytes() == data:
            return
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise named(error, path, len(data)) from error


def named(error: OSError, path: str | os.PathLike, needed: int) -> OSError:
    """The error with its path and, where the disk is full, how much space is missing.

    Args:
      needed: bytes that were to be written.
    """
    reason = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        reason += f"; {missing(path, needed)}"
    return OSError(error.errno, reason, str(path))


def missing(path: str | os.PathLike, needed: int) -> str:
    """How much space a full disk lacks for `needed` bytes at `path`, in words."""
    there = next(place for place in (pathlib.Path(path), *pathlib.Path(path).absolute().parents) if place.exists())
    free = shutil.disk_usage(there).free
    return f"{needed / 2**20:,.1f} MiB are to be written, {free / 2**20:,.1f} MiB are free; free some and start again"


def sha256(path: pathlib.Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def lock(file: pathlib.Path, wait: bool = False) -> Iterator[None]:
    """Holds the lock of a file, which other processes see on this host, and on others where the file system has locks.

    The lock ends with the process, however the process ends. The file stays.

    Args:
      wait: until another process has ended its work, instead of Busy.

    Raises:
      Busy: another process holds the lock.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+") as handle:
        if not _acquire(handle, wait):
            handle.seek(0)
            raise Busy(handle.read().strip() or "another process")
        handle.truncate(0)
        now = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        handle.write(f"process {os.getpid()} on {socket.gethostname()}, since {now}")
        handle.flush()
        try:
            yield
        finally:
            handle.truncate(0)


def _acquire(handle, wait: bool) -> bool:
    if fcntl is None:
        return True
    began = time.monotonic()
    try:
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                if not wait:
                    return False
            time.sleep(0.1)
            for call in while_waiting:
                call(time.monotonic() - began)
    except OSError as error:
        logging.warning("%s: this file system has no locks (%s); start nothing twice", handle.name, error.strerror)
    return True
