"""How far a run is: a bar on a terminal, a plain line now and then in a log file."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TextIO

# Between two lines where the stream is no terminal: with new metrics, which are there when their steps have been
# computed, and without, when steps have only been handed to the device and the rate says less.
LINE_SECONDS, MAX_SECONDS = 10.0, 60.0
MAX_METRICS = 3


class Progress:
    """Shows the step, the rate, the time left and the newest metrics.

    Args:
      total_steps: the step that the run ends at.
      start_step: the step that it starts or resumes at.
      stream: a terminal gets a bar, anything else plain lines.
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
        """Moves to `step`, the number of steps done; `metrics` are shown until newer ones come (the first few)."""
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
        if self._since is None:  # the first step has been compiled: that is no part of the rate
            self._since = step, now
        waited = now - self._since[1]
        if step >= self._total or waited >= (LINE_SECONDS if metrics else MAX_SECONDS):
            self._line(now)

    def write(self, text: str) -> None:
        """Prints a line without breaking the bar."""
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
