"""`results.jsonl`: one line for each finished run of an experiment, with all that identifies and repeats the run.

A line is `{"experiment", "config", "overrides", "seed", "config_hash", "data", "commit", "hardware", "seconds",
"processor_seconds", "steps", "metrics"}`. `data` is the fingerprint of the data (`data/fingerprint.py`), `seconds` the
time of the training steps, `processor_seconds` the processor time of the same steps, over all cores (absent from older
lines and from baselines). `metrics` are the entries of the run's `evaluation.json`. The line of a baseline also has
`baseline`, its name.
"""

from __future__ import annotations

import json
import os
import pathlib
import platform
import re
import subprocess
from collections.abc import Mapping
from typing import Any

from mmgen_jax.errors import ResultsError

FILE = "results.jsonl"


def read(path: pathlib.Path) -> list[dict[str, Any]]:
    """The lines of a `results.jsonl`; none where there is no file.

    Raises:
      ResultsError: a line that is no JSON object.
    """
    lines = []
    content = path.read_text(encoding="utf-8", errors="backslashreplace") if path.exists() else ""
    for number, text in enumerate(content.split("\n"), 1):
        try:
            if text.strip():
                lines.append(dict(json.loads(text)))
        except (ValueError, TypeError) as error:
            raise ResultsError(
                f"{path}:{number}: expected a JSON object, got {text[:80]!r}; remove the line"
            ) from error
    return lines


def append(path: pathlib.Path, line: Mapping[str, Any]) -> None:
    """Appends one line in a single write, so that lines of several processes do not mix.

    Where the file lacks its last newline, a newline is written first.

    Raises:
      OSError: the line could not be written whole.
    """
    text = json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n"
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":  # an editor left out the last newline
            text = "\n" + text
        data = text.encode()
        if (written := os.write(descriptor, data)) != len(data):
            raise OSError(f"{path}: wrote {written} of {len(data)} bytes; free some space and remove the broken line")
    finally:
        os.close(descriptor)


def commit() -> str:
    """The short commit hash of the running code, with `-dirty` where a Python file is changed or untracked.

    Outside a git checkout: the version of the installed package.
    """
    folder = pathlib.Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        # Fails where the package is installed inside a checkout of another project.
        git("ls-files", "--error-unmatch", pathlib.Path(__file__).name)
        return git("rev-parse", "--short", "HEAD") + ("-dirty" if git("status", "--porcelain", "--", ":/*.py") else "")
    except (OSError, subprocess.CalledProcessError):
        from importlib import metadata

        return f"mmgen_jax {metadata.version('mmgen_jax')}, not in git"


def hardware() -> str:
    """The hardware in words: `2 × NVIDIA H100`, or the processor's model and the number of cores available."""
    import jax

    device = jax.devices()[0]
    if device.platform != "cpu":
        return f"{jax.device_count()} × {device.device_kind}"
    info = pathlib.Path("/proc/cpuinfo")
    model = re.search(r"model name\s*:\s*(.+)", info.read_text()) if info.exists() else None
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model[1].strip() if model else platform.processor() or platform.machine()}, {cores} cores"
