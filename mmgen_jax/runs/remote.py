"""Workdirs in an object store (`gs://bucket/run`), by `etils.epath`.

Orbax writes checkpoints to the store, and reads them from it. All other files of a run are small; they are kept in a
local copy of the workdir, and copied to the store before every checkpoint and at the end. Files lost with
the machine between two copies belong to steps after the newest checkpoint; the resumed run writes them again.

Not supported: a lock between machines, so that a second training from elsewhere is not refused; and commands that keep
more than the files of one run (`refuse`).
"""

from __future__ import annotations

import atexit
import hashlib
import os
import pathlib
import shutil
import tempfile
from typing import Any

from mmgen_jax.data.cache.arrays import cache_dir
from mmgen_jax.errors import ConfigError, MmgenError
from mmgen_jax.training import hosts

LOCAL = "file://"  # an address of this scheme is a folder of this machine, kept as a store: to try and to test
CHECKPOINTS = "checkpoints"
ADDRESS = ".address"  # in the local copy of a workdir: a file with the address in the store
KEPT = (CHECKPOINTS, ADDRESS, ".lock")  # names that are not copied


def is_remote(workdir: str | os.PathLike) -> bool:
    return "://" in os.fspath(workdir)


def refuse(workdir: str | os.PathLike, what: str) -> None:
    """Raises ConfigError for a workdir in a store, where `what` needs a folder of this machine."""
    if is_remote(workdir):
        raise ConfigError(f"--workdir={workdir}: {what} needs a folder of a file system; give one, and copy it after")


def opened(workdir: str | os.PathLike) -> pathlib.Path:
    """The workdir as a local folder: the folder itself with `~` expanded, or a new copy of the folder in the store.

    Raises:
      ConfigError: a store that cannot be read, or whose library is not installed.
    """
    if not is_remote(workdir):
        return pathlib.Path(os.path.expanduser(workdir))
    address = os.fspath(workdir).rstrip("/")
    (copies := cache_dir() / "workdirs").mkdir(parents=True, exist_ok=True)
    local = pathlib.Path(tempfile.mkdtemp(dir=copies))
    atexit.register(shutil.rmtree, local, ignore_errors=True)
    (local / ADDRESS).write_text(address)
    try:
        store = _path(address)
        for file in _files(store) if store.exists() else ():
            (target := local / file.relative_to(store)).parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    except Exception as error:  # the store's library may raise any type of error
        reason = " ".join(str(error).split())[:200]
        advice = "pip install gcsfs, and see that this machine may read the bucket"
        raise ConfigError(f"--workdir={workdir}: the store cannot be read ({reason}); {advice}") from error
    return local


def lock_file(workdir: pathlib.Path) -> pathlib.Path:
    """The file whose lock a training holds; that of a workdir in a store is for the trainings of this machine."""
    if not (address := _address(workdir)):
        return workdir / ".lock"
    return cache_dir() / "workdirs" / f"{hashlib.sha256(address.encode()).hexdigest()[:16]}.lock"


def checkpoints(workdir: pathlib.Path) -> Any:
    """The folder of a workdir's checkpoints: in the store, where `workdir` is a copy that `opened` made."""
    address = _address(workdir)
    return _path(address) / CHECKPOINTS if address else workdir / CHECKPOINTS


def refreshed(workdir: pathlib.Path, name: str) -> pathlib.Path:
    """The workdir; where it is a copy that `opened` made, with the file `name` as the store has it now."""
    if not (address := _address(workdir)):
        return workdir
    try:
        if (file := _path(address) / name).exists():
            (workdir / name).write_bytes(file.read_bytes())
    except Exception as error:  # the store's library may raise any type of error
        reason = " ".join(str(error).split())[:200]
        raise MmgenError(
            f"--workdir={address}: the store cannot be read ({reason}); mend it, and start again"
        ) from error
    return workdir


def store(workdir: pathlib.Path, name: str = "") -> None:
    """Copies the files that have changed to the store, where `workdir` is a copy that `opened` made.

    Args:
      name: of the file that is copied alone; "": all files.

    Raises:
      MmgenError: the store cannot be written to.
    """
    if not (address := _address(workdir)) or not hosts.is_first():
        return
    try:
        place = _path(address)
        for file in [workdir / name] if name else _files(workdir):
            target, data = place / file.relative_to(workdir).as_posix(), file.read_bytes()
            if not target.exists() or target.stat().length != len(data) or target.read_bytes() != data:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
    except Exception as error:  # the store's library may raise any type of error
        reason = " ".join(str(error).split())[:200]
        raise MmgenError(
            f"--workdir={address}: the store cannot be written to ({reason}); mend it, and start again"
        ) from error


def _address(workdir: pathlib.Path) -> str:
    return file.read_text() if (file := workdir / ADDRESS).is_file() else ""


def _path(address: str) -> Any:
    from etils import epath  # takes 0.1 s, and local workdirs do not need it

    return epath.Path(address.removeprefix(LOCAL))


def _files(folder: Any) -> list[Any]:
    """Every file below `folder` that is copied, without samples that are still being written."""
    found = []
    for path in sorted(folder.iterdir()):
        if path.name in KEPT or path.name == ".unfinished":
            continue
        found += _files(path) if path.is_dir() else [path]
    return found
