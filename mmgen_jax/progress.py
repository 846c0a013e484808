"""How far a run is: a bar on a terminal, a plain line now and then in a log file."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TextIO

LINE_SECONDS = 10.0  # between two lines where the stream is no terminal
MOST_METRICS = 3


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
        self._line_time = time.monotonic()

    def update(self, step: int, metrics: Mapping[str, float] | None = None) -> None:
        """Moves to `step`, the number of steps done; `metrics` are shown until newer ones come (the first few)."""
        if metrics:
            self._metrics = dict(list(metrics.items())[:MOST_METRICS])
        if self._bar is not None:
            if metrics:
                self._bar.set_postfix_str(self._shown(), refresh=False)
            self._bar.update(step - self._step)
        self._step = step
        if self._bar is None and (step >= self._total or time.monotonic() - self._line_time >= LINE_SECONDS):
            self._line()

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
            self._line()

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _shown(self) -> str:
        return "  ".join(f"{name} {value:.4g}" for name, value in self._metrics.items())

    def _line(self) -> None:
        now = time.monotonic()
        if self._step == self._line_step:
            return
        rate = (self._step - self._line_step) / max(now - self._line_time, 1e-9)
        left = round((self._total - self._step) / rate)
        clock = f"{left // 3600}:{left // 60 % 60:02d}:{left % 60:02d}"
        self.write(f"step {self._step}/{self._total}  {rate:.3g} steps/s  {clock} left  {self._shown()}".rstrip())
        self._line_step, self._line_time = self._step, now
