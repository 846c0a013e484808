"""The examples of a split that an evaluator measures: their choice, their order, and their random halves.

A split may be sorted: its first examples would be of a few classes, and every other example of a sorted split is a
stratified half. So a split is read in a random order, the same for every model and evaluator, and halves are random.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from mmgen_jax import lookup
from mmgen_jax.data import pipeline
from mmgen_jax.data.subset import Half, part_of
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import MASK_SUFFIX

SEED = 0  # of every order and every half below; no run changes it
ORDER = f"random, seed {SEED}"  # in results lines; those without it measured the first examples of the split


def whole(data: Mapping[str, Any], names: tuple[str, ...], split: str = "", **context: Any) -> Any:
    """A split of a data set, whatever the `fraction` of `config.data`, with the modalities `names`.

    For the training split, only the `part` of `config.data`.

    Args:
      split: by default the training split.
      context: a `seed`, for a set whose config has none.
    """
    fields = {key: value for key, value in data.items() if key not in ("fraction", "part")} | {"names": names}
    first = lookup.find("data", data["name"]).splits[0]
    source: Any = lookup.build("data", fields, split=split or first, **context)
    return Half(source, data["part"]) if data.get("part") and split in ("", first) else source


def trained_on(data: Mapping[str, Any], names: tuple[str, ...], seed: int) -> Any:
    """The training examples that the model has: `whole`, and of it the `fraction` that the run's `seed` draws."""
    return part_of(whole(data, names, seed=seed), "", data.get("fraction", 1), seed)


def others(num: int, seed: int) -> np.ndarray:
    """`[num]`: for each example the index of another example, each index once; for a single example its own index."""
    permuted, found = np.random.default_rng(seed).permutation(num), np.zeros(num, int)
    found[permuted] = np.roll(permuted, 1)
    return found


def order(num: int) -> np.ndarray:
    """`[num]`: the order in which the examples of a split with `num` examples are read and measured."""
    return pipeline.drawn(num, SEED)


def batches(source: Any, batch_size: int) -> pipeline.BatchIterator:
    """One pass over a source in its `order`; the last batch may be smaller."""
    return pipeline.batches(source, batch_size=batch_size, seed=SEED, epochs=1, drop_remainder=False)


def halves(arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two random halves `[N // 2, …]` of `arrays [N, …]`; one example is left out where N is odd."""
    first, second = np.split(order(len(arrays))[: len(arrays) // 2 * 2], 2)
    return arrays[first], arrays[second]


def collect(
    sample_fn: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    batches: Iterable[Mapping[str, Any]],
    target: str,
    names: tuple[str, ...],
    num_examples: int,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Samples `[N, …]` of `target` for the first `num_examples` examples, and their true arrays `{name: [N, …]}`.

    An example that lacks one of `names` (masked) is left out. N is smaller than `num_examples` where the batches hold
    fewer examples.

    Raises:
      ConfigError: no example has all of `names`.
    """
    samples, true, count = [], {name: [] for name in names}, 0
    for batch in batches:
        keep = _having(batch, names)[: num_examples - count]
        if keep.size:
            samples.append(np.asarray(sample_fn(batch)[target])[keep])
            for name in names:
                true[name].append(np.asarray(batch[name])[keep])
            count += keep.size
        if count >= num_examples:
            break
    _need(count, names)
    return np.concatenate(samples), {name: np.concatenate(rows) for name, rows in true.items()}


def same(arrays: np.ndarray) -> np.ndarray:
    """`[N] int`: equal numbers for equal rows of `arrays [N, …]`."""
    known: dict[bytes, int] = {}
    return np.array([known.setdefault(np.asarray(row).tobytes(), len(known)) for row in arrays], int)


class Shared:
    """Tells which of the examples that `collect` measures have a condition in common, such as a recording.

    Args:
      conditions: the conditions to compare; a condition that the batches lack is left out.
      names: as in `collect`.
    """

    def __init__(self, conditions: tuple[str, ...], names: tuple[str, ...]):
        self._conditions, self._names = conditions, names
        self._digests: dict[str, list[bytes]] = {}

    def watch(self, batches: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """The same batches, to give to `collect`."""
        for batch in batches:
            for name in set(self._conditions) & set(batch):
                there = np.broadcast_to(np.asarray(batch.get(name + MASK_SUFFIX, True)), len(batch[name]))
                digests = self._digests.setdefault(name, [])
                for i in _having(batch, self._names):
                    # A masked array equals no other array.
                    own = np.asarray(batch[name][i]).tobytes() if there[i] else b"%d" % len(digests)
                    digests.append(hashlib.sha256(own).digest())
            yield batch

    def groups(self, num: int) -> list[np.ndarray]:
        """For each condition the numbers `[num]` of the first examples' arrays: equal where the arrays are."""
        return [np.unique(digests[:num], return_inverse=True)[1] for digests in self._digests.values()]


def first(
    batches: Iterable[Mapping[str, Any]], names: tuple[str, ...], num_examples: int
) -> list[dict[str, np.ndarray]]:
    """The first `num_examples` examples that have all of `names`, whole and in batches, to draw for them repeatedly.

    Raises:
      ConfigError: no example has all of `names`.
    """
    kept, left = [], num_examples
    for batch in batches:
        keep = _having(batch, names)[:left]
        if keep.size:
            kept.append({name: np.asarray(rows)[keep] for name, rows in batch.items()})
            left -= keep.size
        if not left:
            break
    _need(num_examples - left, names)
    return kept


def _having(batch: Mapping[str, Any], names: tuple[str, ...]) -> np.ndarray:
    """The rows of a batch whose examples have all of `names`."""
    keep = np.ones(len(batch[names[0]]), bool)
    for name in names:
        keep &= np.asarray(batch.get(name + MASK_SUFFIX, True))
    return np.flatnonzero(keep)


def _need(count: int, names: tuple[str, ...]) -> None:
    if not count:
        raise ConfigError(
            f"evaluator: expected examples with {', '.join(names)}, got none; evaluate a split that has them, with "
            "num_examples above 0"
        )
