"""Checks that every set of local files must pass."""

from __future__ import annotations

import hashlib
import pathlib
import pickle
import subprocess
import sys

import numpy as np
import pytest

from mmgen_jax.modalities import modality


def read(source, indices, epoch=0):
    indices = np.asarray(indices)
    return source.read(indices, np.full(len(indices), epoch))


def digest(batch) -> str:
    content = b"".join(name.encode() + array.tobytes() for name, array in sorted(batch.items()))
    return hashlib.sha256(content).hexdigest()


def check(source, count: int = 12) -> dict[str, np.ndarray]:
    """A batch from all over the split, checked: order, dtype, range, purity, pickling. Returns it."""
    indices = np.unique(np.linspace(0, len(source) - 1, count).astype(int))
    batch = read(source, indices)
    assert list(batch) == list(source.modalities) == list(source.names)
    modality.check_batch(batch, source.modalities)
    reversed_batch = read(source, indices[::-1])
    for name, values in batch.items():
        np.testing.assert_array_equal(values, reversed_batch[name][::-1])
        values_before = values.copy()
        values[...] = 0  # what a caller does to a batch does not reach the next one
        np.testing.assert_array_equal(read(source, indices)[name], values_before)
        values[...] = values_before
    assert digest(read(pickle.loads(pickle.dumps(source)), indices)) == digest(batch)
    with pytest.raises(IndexError):
        read(source, [len(source)])
    return batch


def digest_elsewhere(module: str, fields: dict, indices, epoch=0) -> str:
    """The digest of a batch that another process reads; it must not need jax."""
    code = (
        f"import sys; sys.path.insert(0, {str(pathlib.Path(__file__).parent)!r}); import numpy as np, hashlib;"
        f"from mmgen_jax.data import {module}; source = {module}.Source(**{fields!r});"
        f"indices = np.array({list(map(int, indices))}); batch = source.read(indices, np.full(len(indices), {epoch}));"
        "assert 'jax' not in sys.modules and 'tensorflow' not in sys.modules;"
        "content = b''.join(name.encode() + array.tobytes() for name, array in sorted(batch.items()));"
        "print(hashlib.sha256(content).hexdigest())"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def assert_disjoint(source_class, key, **fields) -> dict[str, int]:
    """No two splits share a `key(source, row)`; returns the sizes."""
    seen, sizes = {}, {}
    for split in source_class.splits:
        source = source_class(split=split, **fields)
        sizes[split] = len(source)
        for value in {key(source, row) for row in range(len(source))}:
            assert seen.setdefault(value, split) == split, value
    return sizes
