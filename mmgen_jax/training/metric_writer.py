"""Metrics of a run: metrics.jsonl, scalars and samples in TensorBoard, and the means between two log steps."""

from __future__ import annotations

import importlib
import json
import math
import os
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import numpy as np

from mmgen_jax.errors import InputError

FILE = "metrics.jsonl"


class MetricWriter:
    """Appends to `workdir/metrics.jsonl` and to `workdir/tensorboard`; only the first process of a run may open one.

    The constructor drops the metrics after `start_step`. A run that was killed repeats the steps after its checkpoint,
    and the file then has each step once.

    Args:
      workdir: the folder of the run; created where it does not exist.
      start_step: the step at which the run starts or resumes.
    """

    def __init__(self, workdir: str | os.PathLike, start_step: int):
        import tensorboardX

        workdir = pathlib.Path(workdir)
        workdir.mkdir(parents=True, exist_ok=True)
        self._path = workdir / FILE
        if self._path.exists():
            _rewrite(self._path, [line for line in read(workdir) if line["step"] <= start_step])
        self._lines = self._path.open("a", encoding="utf-8")
        self._events = tensorboardX.FileWriter(str(workdir / "tensorboard"))
        # TensorBoard hides earlier events from the step of a START event on.
        event_pb2 = _proto("event_pb2")
        start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
        self._events.add_event(event_pb2.Event(session_log=start), start_step + 1)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Appends the line `{"step": step, name: value, …}`; the floats can be read back exactly.

        Raises:
          InputError: a value is NaN or infinite, which JSON cannot hold, or a metric has the name `step`.
        """
        values = {name: float(value) for name, value in metrics.items()}
        for name, value in values.items():
            if name == "step" or not math.isfinite(value):
                raise InputError(
                    f"metric {name!r} at step {step}: expected a finite value and a name other than 'step', got {value}"
                )
        self._lines.write(json.dumps({"step": int(step), **values}) + "\n")
        self._lines.flush()
        summary_pb2 = _proto("summary_pb2")
        scalars = [summary_pb2.Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._events.add_summary(summary_pb2.Summary(value=scalars), step)

    def write_samples(self, step: int, paths: Iterable[str | os.PathLike]) -> None:
        """Copies the PNG, GIF, WAV and text files of `save.save_samples` to TensorBoard; skips other files."""
        for path in map(pathlib.Path, paths):
            summary = _file_summary(path, "samples/" + path.stem.removeprefix(f"{step:07d}_"))
            if summary is not None:
                self._events.add_summary(summary, step)
        self._events.flush()

    def close(self) -> None:
        self._lines.close()
        self._events.close()

    def __enter__(self) -> MetricWriter:
        return self

    def __exit__(self, *_) -> None:
        self.close()


def read(workdir: str | os.PathLike) -> list[dict[str, Any]]:
    """The lines of `workdir/metrics.jsonl` in order, without an incomplete last line (still being written).

    Raises:
      InputError: a complete line is not JSON.
    """
    path = pathlib.Path(workdir) / FILE
    lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
    parsed = []
    for number, line in enumerate(lines, 1):
        try:
            parsed.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise InputError(
                f"{path}:{number}: expected one JSON object a line, got {line[:80]!r}; remove it"
            ) from error
    return parsed


def summarise(
    steps: list[Mapping[str, jax.typing.ArrayLike]],
) -> tuple[dict[str, float], tuple[int, str] | None]:
    """The mean of every metric over the steps that have the metric, in float64, and the first non-finite value.

    Args:
      steps: the metrics of consecutive calls of the step, still on the device; each value is a scalar, or `[K]` where
        one call ran K steps.

    Returns:
      `(means, first)`; `first` is `(offset, name)` of the earliest value that is NaN or infinite, with `offset` the
      number of steps before it, or None where all values are finite.
    """
    values: dict[str, list[float]] = {}
    first = None
    offset = 0
    for metrics in jax.device_get(steps):  # one transfer
        columns = {name: np.atleast_1d(value).astype(np.float64) for name, value in metrics.items()}
        for name, column in columns.items():
            values.setdefault(name, []).extend(column.tolist())
            bad = np.flatnonzero(~np.isfinite(column))
            if bad.size and (first is None or offset + bad[0] < first[0]):
                first = (offset + int(bad[0]), name)
        offset += max((len(column) for column in columns.values()), default=1)
    return {name: float(np.mean(column)) for name, column in values.items()}, first


def _proto(name: str) -> Any:
    """A module of protobuf messages; imported by name, because a type checker does not see the classes it defines."""
    return importlib.import_module(f"tensorboardX.proto.{name}")


def _rewrite(path: pathlib.Path, lines: list[dict[str, Any]]) -> None:
    """Replaces the file by a single rename, so that a crash leaves either the old file or the new file."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    temporary.replace(path)


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
