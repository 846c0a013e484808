"""Trained judges in the cache: the identity of a judge, its data, its file."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import secrets
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import Any, cast

import flax.traverse_util
import numpy as np
from absl import logging

from mmgen_jax import lookup
from mmgen_jax.data.cache import arrays
from mmgen_jax.data.subset import OTHER
from mmgen_jax.errors import InputError, Unusable
from mmgen_jax.evaluators.measures import examples
from mmgen_jax.training import stopping

WHOLE = 4096  # examples; the fingerprint of a set up to this size covers all of them
FINGERPRINT_EXAMPLES = 1024  # examples that the fingerprint of a larger set covers
COMPARED = 256  # examples of each set that `shared` looks at


def path(kind: str, identity: Mapping[str, Any]) -> pathlib.Path:
    """The file in the cache of the judge with this identity (JSON values); the file need not exist."""
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
    return arrays.cache_dir() / kind / f"{key}.npz"


def training(data: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """A judge's training data: the training split; for a model that has a `part` of the split, the other part."""
    part = {"part": OTHER[data["part"]]} if data.get("part") else {}
    return examples.whole({**data, **part}, names)


def sources(data: Mapping[str, Any], names: tuple[str, ...]) -> tuple[Any, Any]:
    """The `training` and the test split of a data set, with the modalities `names`.

    Raises:
      InputError: the data has no test split.
    """
    check_splits(data)
    return training(data, names), examples.whole(data, names, "test")


def check_splits(data: Mapping[str, Any]) -> None:
    """Raises InputError for data without a test split, on which no judge can be measured."""
    splits = lookup.find("data", data["name"]).splits
    if "test" not in splits:
        raise InputError(f"judge: data {data['name']!r} has no split 'test' to measure a judge on; it has {splits}")


def trained_on(data: Mapping[str, Any], source: Any) -> dict[str, Any]:
    """A judge's training data as in an evaluation's entry: the set, its split and part, the number of examples."""
    split = lookup.find("data", data["name"]).splits[0]
    part = {"part": OTHER[data["part"]]} if data.get("part") else {}
    return {"source": data["name"], "split": split, **part, "examples": len(source)}


def shared(one: Any, other: Any, target: str) -> bool | None:
    """Whether an example of one source has the same `target` as an example of the other source.

    The first `COMPARED` examples of each source are compared. A set that is rendered from another seed shares none; a
    set that draws its pairs from another seed shares the pictures. None: the compared examples share none, and there
    are more examples.
    """
    digests = []
    for source in (one, other):
        indices = np.arange(min(COMPARED, len(source)))
        digests.append({digest(row) for row in source.read(indices, np.zeros_like(indices))[target]})
    if digests[0] & digests[1]:
        return True
    return None if max(len(one), len(other)) > COMPARED else False


def fingerprint(source) -> dict[str, Any]:
    """Length, shapes and class names of a source, and a SHA-256 of its examples.

    Of a set with more than `WHOLE` examples, `FINGERPRINT_EXAMPLES` examples at equal distances are hashed.
    """
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
    """SHA-256 of an array's values."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).digest()


def weights_hash(variables: Mapping[str, Any]) -> str:
    """The first 12 hexadecimal digits of the SHA-256 of the weights."""
    digest = hashlib.sha256()
    for name, leaf in sorted(flax.traverse_util.flatten_dict(variables, sep="/").items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()[:12]


def write(file: pathlib.Path, about: Mapping[str, Any], variables: Mapping[str, Any]) -> None:
    """Writes `about` (JSON values) and the weights (a tree of NumPy arrays) to an `.npz` file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.stem}.{secrets.token_hex(8)}.npz")  # renamed once complete
    flat = cast(dict[str, Any], flax.traverse_util.flatten_dict(variables, sep="/"))
    np.savez(temporary, about=json.dumps(about), **flat)
    os.replace(temporary, file)


def read(file: pathlib.Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """`(about, variables)` of a file that `write` wrote.

    Raises:
      Unusable: the file is absent or damaged; an .npz file has a checksum of each array.
    """
    try:
        with np.load(file, allow_pickle=False) as archive:
            flat = {name: archive[name] for name in archive.files}
        return json.loads(str(flat.pop("about"))), flax.traverse_util.unflatten_dict(flat, sep="/")
    except FileNotFoundError:
        raise Unusable(f"{file}: is not in the cache") from None
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise Unusable(f"{file}: is damaged ({' '.join(str(error).split())[:100]}); remove it") from error


def cached(file: pathlib.Path, make: Callable[[], None]) -> tuple[dict[str, Any], dict[str, Any]]:
    """`(about, variables)` of a file in the cache; where it is absent or damaged, `make` writes it first.

    One process of a host makes the file, and the others of the host wait. Then all processes of the run meet.
    """
    return stopping.apart(lambda: _cached(file, make))


def _cached(file: pathlib.Path, make: Callable[[], None]) -> tuple[dict[str, Any], dict[str, Any]]:
    with contextlib.suppress(Unusable):
        return read(file)
    with arrays.building(file):
        with contextlib.suppress(Unusable):
            return read(file)
        if file.exists():
            logging.warning("%s: is damaged, and made again", file)
        make()
        return read(file)
