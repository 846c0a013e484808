"""Progress of a run: a bar on a terminal, or lines at intervals in a log file.

Long-running compiled code calls `report`; `watched` shows these reports.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Mapping
from typing import TextIO

import jax

from mmgen_jax.errors import printable

# Least seconds between two lines of a log file, with and without new metrics. With new metrics, the steps have been
# computed. Without, the steps may only have been dispatched to the device, so that the rate is less reliable.
LINE_SECONDS, MAX_SECONDS = 10.0, 60.0
MAX_METRICS = 3
REPORTS = 100  # largest number of reports of one compiled loop, approximately
_watchers: list[Watcher] = []


def processor_seconds() -> float:
    """Processor time in seconds of this process, over all its threads, and of its children that have ended."""
    return sum(os.times()[:4])


class Progress:
    """Shows the step, the rate, the time left and the newest metrics.

    Args:
      total_steps: the step at which the run ends.
      start_step: the step at which the run starts or resumes.
      stream: a bar is shown on a terminal, lines on any other stream; None is stderr.
    """

    def __init__(self, total_steps: int, start_step: int = 0, stream: TextIO | None = None):
        self._stream = stream or sys.stderr
        self._total = total_steps
        self._metrics: dict[str, float] = {}
        self._bar = None
        if self._stream.isatty():
            import tqdm

            self._bar = tqdm.tqdm(
                total=total_steps, initial=start_step, file=self._stream, unit="step", dynamic_ncols=True
            )
        self._step = self._line_step = start_step
        self._since: tuple[int, float] | None = None  # step and time of the last line, or of the first step

    def update(self, step: int, metrics: Mapping[str, float] | None = None) -> None:
        """Shows `step` (the number of steps done), and the first `MAX_METRICS` of the newest `metrics`."""
        if metrics:
            self._metrics = dict(list(metrics.items())[:MAX_METRICS])
        if self._bar is not None:
            if metrics:
                self._bar.set_postfix_str(self._shown(), refresh=False)
            self._bar.update(step - self._step)
        self._step = step
        if self._bar is not None:
            return
        now = time.monotonic()
        if self._since is None:  # the rate starts here, without the time for compiling the first step
            self._since = step, now
        waited = now - self._since[1]
        if step >= self._total or waited >= (LINE_SECONDS if metrics else MAX_SECONDS):
            self._line(now)

    def write(self, text: str) -> None:
        """Prints a line without breaking the bar."""
        text = printable(text)
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        else:
            print(text, file=self._stream, flush=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        elif self._step > self._line_step:
            self._line(time.monotonic())

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _shown(self) -> str:
        return "  ".join(f"{name} {value:.4g}" for name, value in self._metrics.items())

    def _line(self, now: float) -> None:
        assert self._since is not None, "there is a line after a step only"
        line = [f"step {self._step}/{self._total}"]
        if self._step > self._since[0]:
            rate = (self._step - self._since[0]) / max(now - self._since[1], 1e-9)
            left = round((self._total - self._step) / rate)
            line += [f"{rate:.3g} steps/s", f"{left // 3600}:{left // 60 % 60:02d}:{left % 60:02d} left"]
        self.write("  ".join([*line, *([self._shown()] if self._metrics else [])]))
        self._line_step, self._since = self._step, (self._step, now)


class Watcher:
    """Shows the reports of compiled loops, each loop in its own `Progress`."""

    def __init__(self, stream: TextIO | None = None):
        self._stream = stream
        self._progress: Progress | None = None
        self._step = 0

    def update(self, step: int, total: int) -> None:
        if self._progress is None or step < self._step:  # the next loop
            self.close()
            self._progress = Progress(total, stream=self._stream)
        self._step = step
        self._progress.update(step)
        if step >= total:
            self.close()

    def close(self) -> None:
        if self._progress is not None:
            self._progress.close()
        self._progress, self._step = None, 0


@contextlib.contextmanager
def watched(stream: TextIO | None = None) -> Iterator[None]:
    """Shows the reports of compiled code that runs inside the block; None is stderr."""
    watcher = Watcher(stream)
    _watchers.append(watcher)
    try:
        yield
        jax.effects_barrier()  # the last reports may still be on their way
    finally:
        _watchers.remove(watcher)
        watcher.close()


def report(step: jax.Array, total: int) -> None:
    """Reports from compiled code that `step [] int32` of `total` steps are done; at most about `REPORTS` times.

    Outside of `watched`, nothing is shown.
    """
    every = max(total // REPORTS, 1)
    due = (step % every == 0) | (step == total)
    jax.lax.cond(due, lambda: jax.debug.callback(_show, step, total), lambda: None)


def _show(step, total) -> None:
    if _watchers:
        _watchers[-1].update(int(step), int(total))
