"""The `mmgen cache` command: lists the caches with their sizes, and removes a cache.

Decoded data, compiled programs and trained judges are made again when they are next asked for. `prepared` is made by
`mmgen prepare-data`, which may need a network.
"""

from __future__ import annotations

import pathlib
import shutil
import time

from mmgen_jax.data.cache import arrays
from mmgen_jax.errors import InputError
from mmgen_jax.lookup import nearest


def entries() -> dict[str, list[pathlib.Path]]:
    """`{name: files}` of the caches of this package: decoded arrays, judges, compiled programs, data of TFDS."""
    root, found = arrays.cache_dir(), {}
    for folder in sorted(root.iterdir()) if root.is_dir() else ():
        if not folder.is_dir() or folder.name.startswith("."):
            continue
        files = [file for file in folder.rglob("*") if file.is_file()]
        known = folder.name in ("tfds", "compiled")
        if known or any(file.name == "meta.json" or file.suffix == ".npz" for file in files):
            found[folder.name] = files
    return found


def listing() -> str:
    """A line for each name: its size, its number of files, and when the newest of them was written."""
    rows = []
    for name, files in entries().items():
        stats = [file.stat() for file in files]
        size, newest = sum(stat.st_size for stat in stats), max((stat.st_mtime for stat in stats), default=0)
        day = time.strftime("%Y-%m-%d", time.localtime(newest))
        rows.append(f"{name:<20} {size / 1e6:10.1f} MB  {len(files):6} files  {day}")
    total = f"{arrays.cache_dir()}: {len(rows)} caches" + (", mmgen cache --evict=NAME removes one" if rows else "")
    return "\n".join([*rows, total])


def evict(name: str) -> str:
    """Removes one cache, and says how much room that gave.

    Raises:
      InputError: there is no cache of that name.
    """
    found = entries()
    if name not in found:
        raise InputError(
            f"--evict={name}: no such cache in {arrays.cache_dir()}; {nearest(name, found)}there are: "
            + (", ".join(found) or "none")
        )
    size = sum(file.stat().st_size for file in found[name])
    shutil.rmtree(arrays.cache_dir() / name)
    return f"{arrays.cache_dir() / name}: removed, {size / 1e6:.1f} MB"
