"""The baseline of captions: what the training example says that is nearest to the example in question."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mmgen_jax import lookup
from mmgen_jax.errors import InputError

BLOCK = 500  # training examples in memory at once


def training_source(data: Mapping[str, Any], names: tuple[str, ...], seed: int):
    """The split to train on of `config.data`, all of it, with the modalities `names`."""
    fields = {key: value for key, value in data.items() if key != "fraction"} | {"names": names}
    splits = lookup.find("data", data["name"]).splits
    return lookup.build("data", fields, split=splits[0], seed=seed)


def captions(source, by: str, text: str, queries: np.ndarray, num_train: int) -> np.ndarray:
    """`[N, L] int32`: the `text` of the example whose `by` is nearest to each of `queries [N, …]` in squared distance.

    Of the first `num_train` examples of the source; of two as near, the first. One without `text` or `by` (masked) is
    none of them.

    Raises:
      InputError: the source has no example with both.
    """
    queries = queries.reshape(len(queries), -1).astype(np.float32)
    nearest, found = np.full(len(queries), np.inf, np.float32), None
    for start in range(0, min(num_train, len(source)), BLOCK):
        indices = np.arange(start, min(start + BLOCK, num_train, len(source)))
        batch = source.read(indices, np.zeros_like(indices))
        keep = np.ones(len(indices), bool)
        for name in (by, text):
            keep &= np.asarray(batch.get(f"{name}/mask", True))
        if not keep.any():
            continue
        keys, texts = batch[by][keep].reshape(keep.sum(), -1), batch[text][keep]
        distances = (queries**2).sum(1)[:, None] + (keys**2).sum(1) - 2 * queries @ keys.T
        best = distances.argmin(axis=1)
        distance = distances[np.arange(len(queries)), best]
        closer = distance < nearest
        found = np.zeros((len(queries), *texts.shape[1:]), np.int32) if found is None else found
        found[closer], nearest[closer] = texts[best[closer]], distance[closer]
    if found is None:
        raise InputError(
            f"captions: no training example has both {by!r} and {text!r}; set `by` to a modality they have"
        )
    return found
