"""Batches on the devices before they are needed; and whether a thread still reads when a run ends."""

from __future__ import annotations

import collections
import contextlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from typing import Any

from mmgen_jax.errors import InputError

CLOSE_SECONDS = 5  # how long the end of a run waits for the batches that are being read

_reading: set[object] = set()  # one for each batch that a thread is reading now


@contextlib.contextmanager
def noted() -> Iterator[None]:
    """A thread reads a batch in this block."""
    _reading.add(token := object())
    try:
        yield
    finally:
        _reading.discard(token)


def is_hanging() -> bool:
    """Whether a thread still reads a batch after `CLOSE_SECONDS`; the interpreter's exit would wait for the thread."""
    deadline = time.monotonic() + CLOSE_SECONDS
    while _reading and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(_reading)


class prefetch_to_device:
    """Runs `put` on the batches of `iterator` ahead of time, in a thread.

    The state counts the batches that `next` has returned. `grain.experimental.device_put` is not used: it runs in a
    daemon thread, which may be inside JAX when the interpreter shuts down. Here each batch is a task of an executor,
    and Python waits for the executor at exit; see `is_hanging`.

    Args:
      iterator: of host batches, with `get_state`, `set_state` and `close`.
      put: host batch to device batch, e.g. `lambda batch: jax.device_put(batch, sharding)`.
      size: number of batches put ahead, at least 1; each takes device memory.
      waiting: called a few times a second while `next` waits for a batch; its exception ends the wait.
    """

    def __init__(
        self, iterator: Any, put: Callable[[Any], Any], size: int = 2, waiting: Callable[[], None] = lambda: None
    ):
        if size < 1:
            raise InputError(f"prefetch_to_device: size: expected at least 1, got {size}")
        self._iterator, self._put, self._size, self._waiting = iterator, put, size, waiting
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
        first = self._pending[0]
        self._wait([first])
        try:
            return first.result()[0]
        except Exception:  # StopIteration included
            self.set_state(self._state)
            raise

    def _fill(self) -> None:
        while len(self._pending) < self._size:
            self._pending.append(self._executor.submit(self._produce))

    def _wait(self, batches: Sequence[futures.Future], seconds: float = math.inf) -> None:
        """Waits until the batches are ready, at most for `seconds`."""
        deadline = time.monotonic() + seconds
        while not all(batch.done() for batch in batches) and time.monotonic() < deadline:
            futures.wait(batches, timeout=min(0.2, seconds))
            if seconds == math.inf:  # with a limit, the run is ending already, and signals change nothing
                self._waiting()

    def _drain(self, seconds: float = math.inf) -> bool:
        """Forgets the batches read ahead; returns whether their reading has ended within `seconds`."""
        running = [batch for batch in self._pending if not batch.cancel()]
        self._wait(running, seconds)
        self._pending.clear()
        return all(batch.done() for batch in running)

    def get_state(self) -> dict[str, Any]:
        return dict(self._state)

    def set_state(self, state: dict[str, Any]) -> None:
        self._drain()
        self._iterator.set_state(state)
        self._state = self._iterator.get_state()

    def close(self) -> None:
        """Ends the thread, once its current batch is put, and closes `iterator`; a source that hangs is left alone."""
        ended = self._drain(CLOSE_SECONDS)
        self._executor.shutdown(wait=ended)
        if ended:
            self._iterator.close()
