"""The data pipeline: the examples of a source as batches, in an order that is a function of (seed, position) alone.

Position p counts the examples since the start of training. Epoch e = p // N over a source of N examples reads them in
the order of a permutation drawn from (seed, e). Global batch i holds the positions [i B, (i + 1) B); it may hold the
end of one epoch and the start of the next. Each process reads its own consecutive rows of the global batch. So the
examples of a step depend neither on the number of processes or devices nor on the reading threads, and the state of the
pipeline is one integer.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from mmgen_jax.data import read_ahead
from mmgen_jax.errors import BatchError, InputError


def batches(
    source: Any,
    *,
    batch_size: int,
    seed: int,
    shuffle: bool = True,
    epochs: int | None = None,
    process_index: int = 0,
    process_count: int = 1,
    steps: int = 1,
    num_threads: int = 2,
    prefetch: int = 4,
    drop_remainder: bool = True,
    check: Callable[[dict[str, np.ndarray]], None] | None = None,
) -> BatchIterator:
    """Batches of a source (its contract is in `mmgen_jax/data/__init__.py`), as dicts of NumPy arrays.

    `shuffle=False, epochs=1, drop_remainder=False` is one pass in order; its last batch may be smaller.

    Args:
      batch_size: examples of the global batch, over all processes.
      seed: of the order.
      shuffle: False reads the examples in the order of the source.
      epochs: number of passes over the data; None: without end.
      process_index, process_count: of this process; it reads `batch_size / process_count` rows of each batch.
      steps: number of equal parts of a batch, one for each step of a call; a process reads its rows of each part.
      num_threads: number of reading threads; each reads a whole batch. 0 reads in the thread that calls `next`.
      prefetch: number of batches that are read ahead.
      drop_remainder: leave out the last batch where it is smaller.
      check: called with every batch, in the reading threads; its BatchError is raised with the batch's place.

    Raises:
      InputError: an empty source, fewer examples than a batch, or a batch that the processes cannot share evenly.
    """
    import grain

    size = len(source)
    if batch_size < 1 or batch_size % (process_count * steps):
        expected = f"a positive multiple of {process_count} processes" + (f" × {steps} steps" if steps > 1 else "")
        raise InputError(f"batch_size: expected {expected}, got {batch_size}")
    check_size(source, batch_size if drop_remainder else 1)
    total = sys.maxsize if epochs is None else epochs * size
    num_batches = total // batch_size if drop_remainder else -(-total // batch_size)
    step_size = batch_size // steps
    local_size = step_size // process_count
    permutation = _permutations(size, seed)

    def read(batch_index: int) -> dict[str, np.ndarray]:
        start = batch_index * batch_size
        stop = min(start + batch_size, total)
        firsts = start + process_index * local_size + step_size * np.arange(steps)
        positions = (firsts[:, None] + np.arange(local_size)).ravel()
        positions = positions[positions < stop]
        if not positions.size:  # no row of the last, smaller batch is for this process; a source reads at least one row
            return {name: array[:0] for name, array in source.read(*order(np.array([start]))).items()}
        indices, epochs = order(positions)
        with read_ahead.noted():
            batch = source.read(indices, epochs)
        try:
            if check is not None:
                check(batch)
        except BatchError as error:
            examples = ", ".join(map(str, indices[:8].tolist())) + (", …" if len(indices) > 8 else "")
            raise BatchError(f"batch {batch_index} (examples {examples} of {_describe(source)}): {error}") from error
        return batch

    def order(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return _order(positions, size, permutation if shuffle else None)

    dataset = grain.MapDataset.range(num_batches).map(read)
    options = grain.ReadOptions(num_threads=num_threads, prefetch_buffer_size=prefetch if num_threads else 0)
    return BatchIterator(iter(dataset.to_iter_dataset(options)))


def at(source: Any, position: int, batch_size: int, seed: int) -> dict[str, np.ndarray]:
    """The shuffled batch that begins at a position, read again, with its `index [B]` and `epoch [B]` in the source."""
    positions = np.arange(position, position + batch_size, dtype=np.int64)
    index, epoch = _order(positions, len(source), _permutations(len(source), seed))
    return {**source.read(index, epoch), "index": index, "epoch": epoch}


def _order(
    positions: np.ndarray, size: int, permutation: Callable[[int], np.ndarray] | None
) -> tuple[np.ndarray, np.ndarray]:
    """`(index, epoch)` of each position; in the source's own order without a permutation."""
    epoch, index = np.divmod(positions, size)
    if permutation:
        for e in np.unique(epoch).tolist():
            rows = epoch == e
            index[rows] = permutation(e)[index[rows]]
    return index, epoch


def check_size(source: Any, batch_size: int) -> None:
    """Raises InputError where a source has fewer examples than one batch."""
    if not len(source):
        raise InputError(f"{_describe(source)}: expected at least one example, got none")
    if len(source) < batch_size:
        raise InputError(
            f"{_describe(source)}: expected at least batch_size = {batch_size} examples, got {len(source)}; lower "
            "batch_size"
        )


def _permutations(size: int, seed: int) -> Callable[[int], np.ndarray]:
    """A function from epoch to permutation of [0, size).

    The last two permutations are kept in memory, 8 bytes an example each, because a batch may be from two epochs. The
    alternative, Grain's `shuffle`, needs no such memory, but 8 microseconds an example while it holds the interpreter's
    lock. It also seeds epoch e with seed + e, so that epoch e + 1 of seed s has the order of epoch e of seed s + 1.
    """

    @functools.lru_cache(maxsize=2)
    def permutation(epoch: int) -> np.ndarray:
        return drawn(size, seed, epoch)

    return permutation


def drawn(size: int, seed: int, epoch: int = 0) -> np.ndarray:
    """The permutation of [0, size) by which an epoch reads a source of `size` examples."""
    return np.random.default_rng([seed, epoch]).permutation(size)


def _describe(source: Any) -> str:
    split = getattr(source, "split", None)
    return type(source).__module__ + (f", split {split!r}" if split else "")


class BatchIterator:
    """Iterates over batches. Its state (JSON) counts the batches that `next` has returned, not batches read ahead.

    An exception of the source is raised by `next`; the following call reads the same batch again.
    """

    def __init__(self, iterator: Any):
        self._iterator = iterator  # of grain
        self._peeked = None
        self._state = iterator.get_state()

    def __iter__(self) -> BatchIterator:
        return self

    def __next__(self) -> dict[str, np.ndarray]:
        batch, self._peeked = self.peek(), None
        self._state = self._iterator.get_state()
        return batch

    def peek(self) -> dict[str, np.ndarray]:
        """The batch that `next` will return."""
        if self._peeked is None:
            try:
                self._peeked = next(self._iterator)
            except Exception:
                self.set_state(self._state)  # else grain would continue after the failed batch
                raise
        return self._peeked

    def get_state(self) -> dict[str, int]:
        return dict(self._state)

    def set_state(self, state: dict[str, int]) -> None:
        self._peeked = None
        self._iterator.set_state(state)
        self._state = self._iterator.get_state()

    def close(self) -> None:
        """Ends the reading threads, once each has finished its current batch."""
        self._iterator.close()
