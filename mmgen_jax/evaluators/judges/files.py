"""What trained judges share: what names one, and its file in the cache."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import secrets
from collections.abc import Mapping
from typing import Any, cast

import flax.traverse_util
import numpy as np

from mmgen_jax import lookup
from mmgen_jax.data.cache import arrays
from mmgen_jax.errors import InputError

WHOLE = 4096  # examples: a set up to this size is digested whole,
FINGERPRINT_EXAMPLES = 1024  # of a larger one so many


def path(kind: str, identity: Mapping[str, Any]) -> pathlib.Path:
    """Where the cache has the judge that `identity` (JSON values) describes."""
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
    return arrays.cache_dir() / kind / f"{key}.npz"


def sources(data: Mapping[str, Any], names: tuple[str, ...]) -> tuple[Any, Any]:
    """What a judge is trained on, all of it, and the test split, with the modalities `names`.

    Raises:
      InputError: the data has no test split.
    """
    splits = lookup.find("data", data["name"]).splits
    if "test" not in splits:
        raise InputError(f"judge: data {data['name']!r} has no split 'test' to measure a judge on; it has {splits}")
    fields = {key: value for key, value in data.items() if key != "fraction"} | {"names": names}
    return tuple(lookup.build("data", fields | {"split": split}) for split in (splits[0], "test"))


def fingerprint(source) -> dict[str, Any]:
    """Length, shapes and class names of a source, and a digest of its examples (of a large set: spread evenly)."""
    count = len(source) if len(source) <= WHOLE else FINGERPRINT_EXAMPLES
    indices = np.unique(np.linspace(0, len(source) - 1, count).astype(np.int64))
    batch = source.read(indices, np.zeros_like(indices))
    digest = hashlib.sha256()
    for name in sorted(batch):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(batch[name]).tobytes())
    modalities = {name: [modality.shape, modality.classes] for name, modality in source.modalities.items()}
    return {"length": len(source), "modalities": modalities, "examples": digest.hexdigest()}


def digest(array: np.ndarray) -> bytes:
    """Of an array's values."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).digest()


def weights_hash(variables: Mapping[str, Any]) -> str:
    """The first 12 hexadecimal digits of the SHA-256 of the weights."""
    digest = hashlib.sha256()
    for name, leaf in sorted(flax.traverse_util.flatten_dict(variables, sep="/").items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()[:12]


def write(file: pathlib.Path, about: Mapping[str, Any], variables: Mapping[str, Any]) -> None:
    """Of `about` (JSON values) and NumPy weights."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.stem}.{secrets.token_hex(8)}.npz")  # renamed when whole
    flat = cast(dict[str, Any], flax.traverse_util.flatten_dict(variables, sep="/"))
    np.savez(temporary, about=json.dumps(about), **flat)
    os.replace(temporary, file)


def read(file: pathlib.Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """`(about, variables)`."""
    with np.load(file, allow_pickle=False) as archive:
        flat = {name: archive[name] for name in archive.files}
    return json.loads(str(flat.pop("about"))), flax.traverse_util.unflatten_dict(flat, sep="/")
