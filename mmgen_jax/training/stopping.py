"""Stops by signal: the first signal sets a flag that loops read between two steps, the second interrupts at once.

A stop then never falls between an update and its bookkeeping, and no callback of a library can swallow the signal. A
loop that takes long calls `check`: the loop core `steps`, by which judges are trained too, and the wait for a batch.
Where all processes are at the same place (the train loop, the sampler), the loop calls `check_together`. `apart` runs
work that one process does while others wait, such as a judge's training.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from mmgen_jax.data.cache import disk
from mmgen_jax.errors import MmgenError, NotFinite
from mmgen_jax.training import hosts

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # Ctrl-C; a scheduler that takes the machine back; a closed terminal

TOGETHER = 1.0  # seconds; a signal that comes twice within this time, as to a process and to its group, is one

_Result = TypeVar("_Result")

_first = 0  # the number of the first signal, 0 before there is one
_since = 0.0  # the time of the first signal
_interrupted = False  # whether there was a second signal
_apart = False  # whether this process does work of `apart` now


@contextlib.contextmanager
def handled() -> Iterator[Callable[[], None]]:
    """Yields `arm`; from its first call to the end of the block, a signal sets the flag instead of ending the process.

    A run calls `arm` after its first step. Before, there is nothing to save, and compiled code, which takes long to
    make, would delay the handler. Outside of the main thread, where Python allows no handlers, `arm` does nothing.
    Of several processes, SIGTERM is JAX's, which has all processes stop at one place (`hosts.stop_now`); the other
    signals are passed on to it. A second Ctrl-C or SIGHUP interrupts as in one process, a second SIGTERM does not.
    """
    global _first, _interrupted
    _first, _interrupted = 0, False
    before = {}
    disk.while_waiting.append(_waiting)

    def arm() -> None:
        if not before and threading.current_thread() is threading.main_thread():
            before.update({number: signal.signal(number, _handle) for number in _numbers()})

    try:
        yield arm
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        disk.while_waiting.remove(_waiting)
        _first, _interrupted = 0, False


@contextlib.contextmanager
def saved(save: Callable[[], None], wait: Callable[[], None], step: Callable[[], int], say: Callable[[str], None]):
    """Saves where the block ends by a signal or an error, says so in a line, and raises the same exception.

    A state that is not finite, or whose buffers the failed step has consumed, cannot be saved. In that case the run
    resumes from the newest checkpoint.

    Args:
      save: saves the state of `step()`, unless it is saved; step 0 is not saved.
      wait: waits until the files are written.
    """
    try:
        yield
    except NotFinite:
        raise
    except BaseException as end:
        if interrupted() or isinstance(end, GeneratorExit) or not hosts.all_stop():
            raise
        if not step():
            say("stopped before the first step, so nothing is saved")
            raise
        try:
            save()
            wait()
        except Exception as error:
            # RuntimeError: the step's inputs are deleted once it runs.
            reason = f"could not be saved ({' '.join(str(error).split())[:200]}); the newest checkpoint is left"
            say(f"stopped at step {step()}, which {reason}")
        else:
            say(f"stopped at step {step()}, saved; the same command goes on")
        raise


class _Noticed(BaseException):
    """Ends the work of `apart`, because a signal reached one of the processes."""


def apart(work: Callable[[], _Result]) -> _Result:
    """Calls `work` that processes do alone or at different times, as to train a judge; then all processes meet.

    A signal to any process ends `work` in all of them at the next `check`, and then all stop together.
    """
    global _apart
    if not hosts.several():
        return work()
    _apart, done = True, []
    try:
        done.append(work())
    except _Noticed:
        pass
    finally:
        _apart = False
    if hosts.any_process(not done):
        while True:  # until the turn on which the processes agree
            check_together()
            time.sleep(0.1)
    return done[0]


def check() -> None:
    """After a signal, raises KeyboardInterrupt or SystemExit(128 + signal).

    With several processes, a process does not end alone: see `check_together` and `apart`.
    """
    if _apart and hosts.noticed():
        raise _Noticed
    if _first and hosts.all_stop():
        _raise(_first)


def check_together() -> None:
    """`check`, called by all processes at the same point of the program: a signal to any process ends all of them."""
    if hosts.stop_now():
        _raise(_first or signal.SIGTERM)
    check()


def _waiting(seconds: float) -> None:
    """Called while another process builds a cache entry: a signal ends the wait; with several processes, also
    the time limit `hosts.LONG_SECONDS`.
    """
    check()
    if hosts.several() and seconds > hosts.LONG_SECONDS:
        raise MmgenError(f"another process of this host has built data or a judge for {seconds:.0f} s: look at it")


def interrupted() -> bool:
    """Whether a second signal asked to end at once, without saving."""
    return _interrupted


def _numbers() -> list[int]:
    numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]  # Windows has no SIGHUP
    return [number for number in numbers if not (hosts.several() and number == signal.SIGTERM)]


def _handle(number: int, _) -> None:
    global _first, _since, _interrupted
    if number == _first and time.monotonic() - _since < TOGETHER:
        return
    if _first:
        _interrupted = True
        _raise(number)
    _first, _since = number, time.monotonic()
    if hosts.several():
        signal.raise_signal(signal.SIGTERM)
    if number == signal.SIGINT and sys.stderr.isatty():
        os.write(2, b"\nstopping after this step; Ctrl-C again stops at once, without saving\n")


def _raise(number: int) -> None:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)


class Clock:
    """When a checkpoint is due by the clock: whether `minutes` have passed since the last `restart`; never for 0."""

    def __init__(self, minutes: float):
        self._seconds = 60 * minutes
        self.restart()

    def restart(self) -> None:
        self._since = time.monotonic()

    def passed(self) -> bool:
        return self._seconds > 0 and hosts.broadcast(time.monotonic() - self._since >= self._seconds)
