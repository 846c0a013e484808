"""The one data pipeline: a source's examples as batches, in an order that is a function of (seed, position) alone.

Position p counts the examples since the start of training; pass (epoch) e = p // N over a source of N examples reads
them in the order of a permutation drawn from (seed, e). Global batch i is positions [i B, (i + 1) B), and may end one
epoch and begin the next. Each process reads its own consecutive rows of the global batch, so what a step trains on
depends neither on the number of processes or devices nor on the reading threads, and the state is one integer.
"""

from __future__ import annotations

import collections
import functools
import sys
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import numpy as np

from mmgen_jax.errors import InputError


def batches(
    source: Any,
    *,
    batch_size: int,
    seed: int,
    shuffle: bool = True,
    epochs: int | None = None,
    process_index: int = 0,
    process_count: int = 1,
    num_threads: int = 2,
    prefetch: int = 4,
    drop_remainder: bool = True,
) -> BatchIterator:
    """Batches of `source` (see `mmgen_jax/data/__init__.py` for what a source is), as dicts of numpy arrays.

    For evaluation: `shuffle=False, epochs=1, drop_remainder=False` is one pass in order whose last batch may be short.

    Args:
      batch_size: of all processes together.
      epochs: passes over the data; None is for ever.
      num_threads: that read, each a whole batch; 0 reads in the thread that calls `next`.
      prefetch: how many batches are read ahead.
      drop_remainder: leave out a last batch that is short.

    Raises:
      InputError: an empty source, fewer examples than a batch, or a batch that the processes cannot share evenly.
    """
    import grain

    size = len(source)
    if not size:
        raise InputError(f"{_describe(source)}: expected at least one example, got none")
    if batch_size < 1 or batch_size % process_count:
        raise InputError(f"batch_size: expected a positive multiple of {process_count} processes, got {batch_size}")
    if drop_remainder and size < batch_size:
        raise InputError(
            f"{_describe(source)}: expected at least batch_size = {batch_size} examples, got {size}; lower batch_size"
        )
    total = sys.maxsize if epochs is None else epochs * size
    num_batches = total // batch_size if drop_remainder else -(-total // batch_size)
    local_size = batch_size // process_count
    permutation = _permutations(size, seed)

    def read(batch_index: int) -> dict[str, np.ndarray]:
        start = batch_index * batch_size
        stop = min(start + batch_size, total)
        first = min(start + process_index * local_size, stop)
        positions = np.arange(first, min(first + local_size, stop), dtype=np.int64)
        if not positions.size:  # the last, short batch has no rows for this process; a source reads at least one
            return {name: array[:0] for name, array in source.read(*order(np.array([start]))).items()}
        return source.read(*order(positions))

    def order(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        epoch, index = np.divmod(positions, size)
        if shuffle:
            for e in np.unique(epoch).tolist():
                rows = epoch == e
                index[rows] = permutation(e)[index[rows]]
        return index, epoch

    dataset = grain.MapDataset.range(num_batches).map(read)
    options = grain.ReadOptions(num_threads=num_threads, prefetch_buffer_size=prefetch if num_threads else 0)
    return BatchIterator(iter(dataset.to_iter_dataset(options)))


def _permutations(size: int, seed: int) -> Callable[[int], np.ndarray]:
    """Epoch to permutation of [0, size), the two last used kept (a batch may touch both): 8 bytes an example each.

    Grain's own `shuffle` needs no memory, but 8 microseconds an example on one core with the interpreter locked, and
    seeds epoch e with seed + e: run `seed + 1` would read what run `seed` reads an epoch later.
    """

    @functools.lru_cache(maxsize=2)
    def permutation(epoch: int) -> np.ndarray:
        return np.random.default_rng([seed, epoch]).permutation(size)

    return permutation


def _describe(source: Any) -> str:
    split = getattr(source, "split", None)
    return type(source).__module__ + (f", split {split!r}" if split else "")


class BatchIterator:
    """Iterates over batches; its state is JSON and counts those that `next` has returned, not those read ahead.

    An exception of the source reaches the caller of `next` as it was raised, and the next call reads that batch again.
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
                self.set_state(self._state)  # grain would go on behind the batch that failed
                raise
        return self._peeked

    def get_state(self) -> dict[str, int]:
        return dict(self._state)

    def set_state(self, state: dict[str, int]) -> None:
        self._peeked = None
        self._iterator.set_state(state)
        self._state = self._iterator.get_state()

    def close(self) -> None:
        """Ends the reading threads, after the batch that each may be reading."""
        self._iterator.close()


class prefetch_to_device:
    """Runs `put` on the batches of `iterator` ahead of time, in a thread; the state counts what `next` has returned.

    Own, not grain's: `grain.experimental.device_put` runs in a daemon thread, which may be inside jax when the
    interpreter goes down. Here each batch is one task of an executor, which Python waits for at exit.

    Args:
      iterator: with `get_state`, `set_state` and `close`.
      put: host batch to device batch, e.g. `lambda batch: jax.device_put(batch, sharding)`.
      size: how many batches are put ahead, at least 1; each takes its place in device memory.
    """

    def __init__(self, iterator: Any, put: Callable[[Any], Any], size: int = 2):
        if size < 1:
            raise InputError(f"prefetch_to_device: size: expected at least 1, got {size}")
        self._iterator, self._put, self._size = iterator, put, size
        self._state = iterator.get_state()
        self._waited = 0.0
        self._pending: collections.deque[futures.Future] = collections.deque()
        self._executor = futures.ThreadPoolExecutor(1, thread_name_prefix="prefetch-to-device")

    def _produce(self) -> tuple[Any, dict[str, Any]]:
        batch = next(self._iterator)
        return self._put(batch), self._iterator.get_state()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        before = time.monotonic()
        batch = self.peek()
        self._waited += time.monotonic() - before
        self._state = self._pending.popleft().result()[1]
        self._fill()
        return batch

    def waited(self) -> float:
        """Seconds that `next` has waited for a batch since the last call of this method."""
        waited, self._waited = self._waited, 0.0
        return waited

    def peek(self) -> Any:
        """The batch that `next` will return."""
        self._fill()
        try:
            return self._pending[0].result()[0]
        except Exception:  # StopIteration among them
            self.set_state(self._state)
            raise

    def _fill(self) -> None:
        while len(self._pending) < self._size:
            self._pending.append(self._executor.submit(self._produce))

    def _drain(self) -> None:
        for future in self._pending:
            future.cancel()
        futures.wait(self._pending)
        self._pending.clear()

    def get_state(self) -> dict[str, Any]:
        return dict(self._state)

    def set_state(self, state: dict[str, Any]) -> None:
        self._drain()
        self._iterator.set_state(state)
        self._state = self._iterator.get_state()

    def close(self) -> None:
        """Ends the thread, after the batch that it may be putting, and closes `iterator`."""
        self._drain()
        self._executor.shutdown()
        self._iterator.close()
