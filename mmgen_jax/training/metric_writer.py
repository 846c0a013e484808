"""Metrics of a run: metrics.jsonl, scalars and samples in TensorBoard, and the means over the steps of a line."""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import os
import pathlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
from absl import logging

from mmgen_jax.data.cache import disk
from mmgen_jax.errors import InputError

FILE = "metrics.jsonl"
FLUSH_SECONDS = 120  # TensorBoard's file is synced to the disk after so long, and with samples


class MetricWriter:
    """Appends to `workdir/metrics.jsonl` and to `workdir/tensorboard`.

    The constructor drops the metrics after `start_step`. A run that was killed repeats the steps after its checkpoint,
    and the file then has each step once.

    Args:
      workdir: the folder of the run; created where it does not exist.
      start_step: the step at which the run starts or resumes.
      writes: False in all processes but the first of a run; nothing is then read or written.
    """

    def __init__(self, workdir: str | os.PathLike, start_step: int, writes: bool = True):
        self._writes, self._evaluated, self._start, self._newest = writes, set(), start_step, start_step
        if not writes:
            return
        workdir = pathlib.Path(workdir)
        workdir.mkdir(parents=True, exist_ok=True)
        self._path = workdir / FILE
        lines = read(workdir)
        self._newest = max((line["step"] for line in lines if "steps_per_second" in line), default=0)
        if self._path.exists():
            kept = [line for line in lines if line["step"] <= start_step]
            disk.replace(self._path, "".join(json.dumps(line) + "\n" for line in kept))
        self._evaluated = {line["step"] for line in lines if "steps_per_second" not in line}
        self._lines = self._path.open("a", encoding="utf-8")
        self._events = _Events(workdir / "tensorboard", start_step)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Appends the line `{"step": step, name: value, …}`; the floats can be read back exactly.

        Raises:
          InputError: a value is NaN or infinite, which JSON cannot hold, or a metric has the name `step`.
          OSError: the line could not be written; the message names the file and, on a full disk, the missing space.
        """
        values = {name: float(value) for name, value in metrics.items()}
        for name, value in values.items():
            if name == "step" or not math.isfinite(value):
                raise InputError(
                    f"metric {name!r} at step {step}: expected a finite value and a name other than 'step', got {value}"
                )
        if not self._writes:
            return
        line = json.dumps({"step": int(step), **values}) + "\n"
        try:
            self._lines.write(line)
            self._lines.flush()
        except OSError as error:
            raise disk.named(error, self._path, len(line)) from error
        summary_pb2 = _proto("summary_pb2")
        scalars = [summary_pb2.Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._events.add(step, lambda: summary_pb2.Summary(value=scalars))

    def gap(self, expected: int) -> str:
        """A warning where the newest line is older than the step `expected`, or ""."""
        if self._newest >= expected:
            return ""
        return f"WARNING {FILE} ends at step {self._newest}, and the run goes on from {self._start}: lines are missing"

    def sync(self) -> None:
        """Waits until the lines are on the disk; called before a checkpoint: a resumed run continues after them."""
        if self._writes:
            try:
                os.fsync(self._lines.fileno())
            except OSError as error:
                raise disk.named(error, self._path, 0) from error

    def has_evaluation(self, step: int) -> bool:
        """Whether the file already had the line of an evaluation at `step` when the run started or resumed."""
        return step in self._evaluated

    def write_samples(self, step: int, paths: Iterable[str | os.PathLike]) -> None:
        """Copies the PNG, GIF, WAV and text files of `save.save_samples` to TensorBoard; skips other files."""
        if not self._writes:
            return
        for path in map(pathlib.Path, paths):
            tag = "samples/" + path.stem.removeprefix(f"{step:07d}_")
            self._events.add(step, lambda path=path, tag=tag: _file_summary(path, tag))
        self._events.flush()

    def close(self) -> None:
        if not self._writes:
            return
        with contextlib.suppress(OSError):  # on a full disk, `write` has raised already
            self._lines.close()
        self._events.close()

    def __enter__(self) -> MetricWriter:
        return self

    def __exit__(self, *_) -> None:
        self.close()


class _Events:
    """TensorBoard's file of a run. A file that cannot be written is given up with a warning: the run goes on.

    tensorboardX's own `FileWriter` hands events to a thread by a queue of ten. After an error of the thread, a full
    queue would stop the run for ever; here the caller writes.
    """

    def __init__(self, folder: pathlib.Path, start_step: int):
        event_pb2 = _proto("event_pb2")
        self._event, self._folder, self._writer, self._flushed = event_pb2.Event, folder, None, time.monotonic()
        with self._given_up():
            from tensorboardX.event_file_writer import EventsWriter

            folder.mkdir(parents=True, exist_ok=True)
            self._writer = EventsWriter(str(folder / "events"), f".{start_step}")
        # TensorBoard hides earlier events from the step of a START event on.
        start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._write(lambda: event_pb2.Event(session_log=start, step=start_step + 1, wall_time=time.time()))

    def add(self, step: int, summary: Callable[[], Any]) -> None:
        """Adds the result of `summary`: a summary, or None for nothing."""

        def event():
            made = summary()
            return None if made is None else self._event(summary=made, step=step, wall_time=time.time())

        self._write(event)
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        self._flushed = time.monotonic()
        with self._given_up():
            if self._writer is not None:
                self._writer.flush()

    def close(self) -> None:
        with self._given_up():
            writer, self._writer = self._writer, None
            if writer is not None:
                writer.close()

    def _write(self, event: Callable[[], Any]) -> None:
        with self._given_up():
            if self._writer is not None and (made := event()) is not None:
                self._writer.write_event(made)

    @contextlib.contextmanager
    def _given_up(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._writer = None
            logging.warning("%s: TensorBoard's file is given up: %s", self._folder, error.strerror or error)


def read(workdir: str | os.PathLike) -> list[dict[str, Any]]:
    """The lines of `workdir/metrics.jsonl` in order, without an incomplete last line (still being written).

    Raises:
      InputError: a complete line is no JSON object with a `step`.
    """
    path = pathlib.Path(workdir) / FILE
    text = path.read_text(encoding="utf-8", errors="backslashreplace") if path.exists() else ""
    lines = text.split("\n")[:-1]
    parsed = []
    for number, line in enumerate(lines, 1):
        try:
            parsed.append(dict(json.loads(line)))
            int(parsed[-1]["step"])
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise InputError(
                f"{path}:{number}: expected one JSON object with a step a line, got {line[:80]!r}; remove it"
            ) from error
    return parsed


def summarise(
    steps: list[Mapping[str, jax.typing.ArrayLike]], skips: str = ""
) -> tuple[dict[str, float], tuple[int, str] | None]:
    """The mean of every metric over the steps that have the metric, in float64, and the first non-finite value.

    Args:
      steps: the metrics of consecutive calls of the step, still on the device; each value is a scalar, or `[K]` where
        one call ran K steps.
      skips: the metric that is 1 in a step that changed nothing; the other metrics of such a step do not count.

    Returns:
      `(means, first)`; `first` is `(offset, name)` of the earliest value that is NaN or infinite, with `offset` the
      number of steps before it, or None where all values are finite.
    """
    values: dict[str, list[float]] = {}
    first = None
    offset = 0
    for metrics in jax.device_get(steps):  # one transfer
        columns = {name: np.atleast_1d(value).astype(np.float64) for name, value in metrics.items()}
        skipped = columns.get(skips, np.zeros(1)) > 0
        for name, column in columns.items():
            if skipped.any() and name != skips:
                values.setdefault(name, []).extend(column[~skipped].tolist())
                continue
            values.setdefault(name, []).extend(column.tolist())
            bad = np.flatnonzero(~np.isfinite(column))
            if bad.size and (first is None or offset + bad[0] < first[0]):
                first = (offset + int(bad[0]), name)
        offset += max((len(column) for column in columns.values()), default=1)
    return {name: float(np.mean(column)) for name, column in values.items() if column}, first


def _proto(name: str) -> Any:
    """A module of protobuf messages; imported by name, because a type checker does not see the classes it defines."""
    return importlib.import_module(f"tensorboardX.proto.{name}")


def _file_summary(path: pathlib.Path, tag: str):
    """A TensorBoard summary with the file's bytes (a GIF may be animated); None for a type that TensorBoard lacks."""
    Summary = _proto("summary_pb2").Summary
    if path.suffix in (".png", ".gif"):
        import PIL.Image

        with PIL.Image.open(path) as image:
            width, height = image.size
        image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=path.read_bytes())
        return Summary(value=[Summary.Value(tag=tag, image=image)])
    if path.suffix == ".wav":
        import soundfile

        info = soundfile.info(path)
        audio = Summary.Audio(
            sample_rate=info.samplerate,
            num_channels=info.channels,
            length_frames=info.frames,
            encoded_audio_string=path.read_bytes(),
            content_type="audio/wav",
        )
        return Summary(value=[Summary.Value(tag=tag, audio=audio)])
    if path.suffix == ".txt":
        from tensorboardX import summary

        # TensorBoard renders Markdown: two spaces end a line.
        return summary.text(tag, path.read_text(encoding="utf-8").replace("\n", "  \n"))
    return None
