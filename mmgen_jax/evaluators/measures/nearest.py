"""The nearest-neighbour baseline of captions: the caption of the nearest training example."""

from __future__ import annotations

import numpy as np

from mmgen_jax.errors import InputError
from mmgen_jax.evaluators.measures import examples

BLOCK = 500  # training examples in memory at once


def captions(source, by: str, text: str, queries: np.ndarray, num_train: int) -> np.ndarray:
    """`[N, L] int32`: for each query, the text of the training example whose modality `by` is nearest to the query.

    Nearness is the squared distance of the values; of two equally near examples the first is taken. At most
    `num_train` examples of the source are searched, chosen by `examples.order`. An example that lacks `text` or `by`
    (masked) is left out.

    Args:
      queries: `[N, …]`, arrays of the modality `by`.

    Raises:
      InputError: no example has both modalities.
    """
    queries = queries.reshape(len(queries), -1).astype(np.float32)
    nearest, found = np.full(len(queries), np.inf, np.float32), None
    searched = np.sort(examples.order(len(source))[:num_train])
    for start in range(0, len(searched), BLOCK):
        indices = searched[start : start + BLOCK]
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
