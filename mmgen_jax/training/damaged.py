"""Damaged checkpoints: their recognition by the metadata, and the place where they are moved."""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
from typing import Any

from absl import logging

from mmgen_jax.errors import CheckpointError

# Of Orbax: the file of a checkpoint's metadata, and its fields.
METADATA, TIMES = "_CHECKPOINT_METADATA", ("init_timestamp_nsecs", "commit_timestamp_nsecs")
KEYS = {*TIMES, "item_handlers", "metrics", "performance_metrics", "custom_metadata"}


def sha256(metadata: dict[str, Any]) -> str:
    """The SHA-256 of a checkpoint's metadata, without the field `sha256`, in hexadecimal digits."""
    rest = {key: value for key, value in metadata.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def aside(folder: Any) -> Any:
    """Where a damaged checkpoint is moved to."""
    return folder.with_name(f"{folder.name}.damaged")


def move(folder: Any) -> None:
    """Moves a checkpoint aside, and replaces an earlier damaged checkpoint of the step; a path of `pathlib` or `epath`.

    Of several processes that move one checkpoint, one succeeds, and the others find no folder: an OSError.
    """
    place = aside(folder)
    own = place.with_name(f"{place.name}.{secrets.token_hex(4)}")
    folder.rename(own)
    if place.exists():
        place.rmtree() if hasattr(place, "rmtree") else shutil.rmtree(place)
    own.rename(place)


def reason(error: BaseException) -> str:
    """The first error of a chain on one line: TensorStore's, where Orbax says that no handler could load."""
    first = error
    while first.__cause__ is not None:
        first = first.__cause__
    return " ".join((str(first) or repr(error)).split())[:300]


def set_aside_unopenable(directory: Any) -> None:
    """Moves checkpoints aside whose metadata are damaged in a way that keeps Orbax from opening any checkpoint.

    Raises:
      CheckpointError: there is no other checkpoint.
    """
    folders = [path for path in directory.glob("*") if path.name.isdigit() and path.is_dir()]
    bad = [folder for folder in folders if not _opens(folder / METADATA)]
    if bad and len(bad) == len(folders):
        reason = "is damaged: its metadata have changed since they were saved; train in a new --workdir"
        raise CheckpointError(f"{bad[0]}: {reason}")
    for folder in bad:
        move(folder)
        logging.warning("checkpoint %s is damaged: its metadata have changed; moved to %s", folder.name, aside(folder))


def _opens(file: Any) -> bool:
    """Whether Orbax can open a folder with these metadata; without metadata or with no JSON it can."""
    try:
        found = json.loads(file.read_text())
        times = [found[name] for name in TIMES if name in found]
    except (OSError, ValueError, TypeError, RecursionError):
        return True
    known = set(found) <= KEYS or "custom_metadata" not in found
    return known and all(isinstance(time, int) and 0 < time < 2**62 for time in times)
