"""WebDataset shards: the members of `.tar` files, unpacked once into the cache."""

from __future__ import annotations

import hashlib
import json
import pathlib
import re
import secrets
import shutil
import tarfile
from collections.abc import Sequence

from mmgen_jax.data.cache.arrays import cache_dir
from mmgen_jax.data.files.folder_items import split_and_rest
from mmgen_jax.errors import DataError

SUFFIXES = (".tar", ".tar.gz", ".tgz")
CLASS = ".cls"  # the suffix of a member that holds a class


def is_shard(path: pathlib.Path) -> bool:
    return path.name.lower().endswith(SUFFIXES)


def unpacked(shards: Sequence[pathlib.Path], directory: pathlib.Path) -> pathlib.Path:
    """A folder with the members of every shard: in `<split>/<shard>/` where its name has a split, else in `<shard>/`.

    Classes become a table, `metadata.jsonl` beside the members. The folder takes as much disk space as the shards.

    Raises:
      DataError: a shard cannot be read to its end.
    """
    states = [(path.relative_to(directory).as_posix(), path.stat().st_size, path.stat().st_mtime_ns) for path in shards]
    name = hashlib.sha256(repr(states).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    target = cache_dir() / "folder" / "shards" / name
    if target.is_dir():
        return target
    temporary = target.with_name(f".{name}.{secrets.token_hex(8)}")
    try:
        for path in shards:
            stem = re.sub(r"(\.tar|\.gz|\.tgz)+$", "", path.relative_to(directory).as_posix(), flags=re.I)
            split = split_and_rest(stem.rpartition("/")[2])[0]
            _unpack(path, temporary / split / stem)
        try:
            temporary.rename(target)
        except OSError:  # another process was first
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _unpack(path: pathlib.Path, folder: pathlib.Path) -> None:
    folder.mkdir(parents=True)
    classes = []
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                place = pathlib.PurePosixPath(member.name)
                inside = not place.is_absolute() and ".." not in place.parts and not place.name.startswith(".")
                content = tar.extractfile(member) if member.isfile() and inside else None
                if content is None:
                    continue
                if place.suffix.lower() == CLASS:
                    label = content.read().decode("utf-8", "replace").strip()
                    classes.append({"file_name": place.with_suffix("").as_posix(), "label": label})
                    continue
                (folder / place).parent.mkdir(parents=True, exist_ok=True)
                with (folder / place).open("wb") as file:
                    shutil.copyfileobj(content, file)
    except (OSError, EOFError, tarfile.TarError) as error:
        raise DataError(path, "data", "shard", "a whole tar file", error, "replace it or remove it") from error
    if classes:
        lines = "".join(json.dumps(row) + "\n" for row in classes)
        (folder / "metadata.jsonl").write_text(lines, encoding="utf-8")
