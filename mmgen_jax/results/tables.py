"""Results of a sweep as a Markdown table: means over seeds with their intervals. Pure functions of the result lines."""

from __future__ import annotations

import dataclasses
import math
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mmgen_jax.errors import InputError

Line = Mapping[str, Any]  # one line of results.jsonl
OWN = ("seconds", "steps")  # metrics that stand in the line itself
NOT_RUN = "not run"
NOT_MEASURED = "–"


@dataclasses.dataclass(frozen=True)
class Summary:
    """The mean over `n` seeds, and half the width of its 95 % interval; None for a single seed, which has none."""

    mean: float
    half_width: float | None
    n: int

    def __str__(self) -> str:
        decimals = _decimals(self.half_width, 2) if self.half_width else _decimals(self.mean, 4)
        interval = "" if self.half_width is None else f" ± {self.half_width:.{decimals}f}"
        return f"{self.mean:.{decimals}f}{interval}"


def value(line: Line, metric: str) -> float | None:
    """A metric of a line: `<split>/<evaluator>/<metric>`, `seconds` or `steps`; None where it was not measured."""
    if metric in OWN:
        return None if "baseline" in line else float(line[metric])
    return float(line["metrics"][metric]["value"]) if metric in line["metrics"] else None


def summarise(lines: Sequence[Line], metric: str) -> Summary | None:
    """Mean and 95 % interval over the seeds of one cell: mean ± t(0.975, n - 1) s / sqrt(n), Student's t.

    The seeds' runs are taken as independent and their values as normal. None where no line has the metric.

    Raises:
      InputError: two lines of one seed.
    """
    seeds = [line["seed"] for line in lines]
    if repeated := sorted({seed for seed in seeds if seeds.count(seed) > 1}):
        raise InputError(f"{metric}: expected one line per seed, got {seeds.count(repeated[0])} of seed {repeated[0]}")
    values = np.array([x for line in lines if (x := value(line, metric)) is not None], np.float64)
    n = len(values)
    if n < 2:
        return Summary(float(values[0]), None, 1) if n else None
    from scipy.special import stdtrit

    return Summary(float(values.mean()), float(stdtrit(n - 1, 0.975) * values.std(ddof=1) / math.sqrt(n)), n)


def markdown(rows: Mapping[str, Sequence[str]], lines: Iterable[Line], columns: Mapping[str, str]) -> str:
    """The table, then what its numbers come from.

    Args:
      rows: label to the config hashes of its cells, one per seed. A line of another hash is of another config, and is
        not shown.
      lines: of results.jsonl; of several with one hash the last counts.
      columns: heading to metric.
    """
    by_hash = {line["config_hash"]: line for line in lines}
    found = {label: [by_hash[h] for h in hashes if h in by_hash] for label, hashes in rows.items()}
    table = [["", *columns, "seeds"]]
    for label, hashes in rows.items():
        summaries = [summarise(found[label], metric) for metric in columns.values()]
        missing = NOT_MEASURED if found[label] else NOT_RUN
        cells = [missing if summary is None else _shown(summary, len(found[label])) for summary in summaries]
        table.append([label, *cells, f"{len(found[label])} of {len(hashes)}"])
    table.insert(1, ["---"] + ["---:"] * (len(columns) + 1))
    shown = [line for part in found.values() for line in part]
    notes = [
        *_origin(shown),
        *(note for heading, metric in columns.items() for note in _differences(shown, heading, metric)),
    ]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in table) + "".join(f"\n\n{note}" for note in notes)


def table(
    experiment: str | os.PathLike, columns: Mapping[str, str], shown: Callable[[str], bool] = lambda label: True
) -> str:
    """`markdown` of a folder's `sweep.py` and `results.jsonl`, of the rows whose label is to be `shown`."""
    from mmgen_jax.results.cells import load
    from mmgen_jax.results.lines import FILE, read

    rows = {}
    for cell in load(pathlib.Path(experiment) / "sweep.py"):
        if shown(cell.label):
            rows.setdefault(cell.label, []).append(cell.config_hash)
    return markdown(rows, read(pathlib.Path(experiment) / FILE), columns)


def _shown(summary: Summary, num_lines: int) -> str:
    return str(summary) if summary.n == num_lines else f"{summary} (n = {summary.n})"


def _origin(lines: Sequence[Line]) -> list[str]:
    if not lines:
        return []
    commits, machines = (", ".join(dict.fromkeys(str(line[key]) for line in lines)) for key in ("commit", "hardware"))
    return [
        "Mean ± half the width of the 95 % interval over seeds (Student's t); a single seed has no interval. "
        f"Commit: {commits}. Hardware: {machines}."
    ]


def _differences(lines: Sequence[Line], heading: str, metric: str) -> list[str]:
    """What makes numbers of one column not comparable: words and counts that describe the measurement and differ.

    A line from before a measurement said so much of itself does not differ by that.
    """
    entries = [line["metrics"][metric] for line in lines if metric not in OWN and metric in line["metrics"]]
    notes = []
    for key in sorted(set().union(*entries) - {"value"}):
        values = list(
            dict.fromkeys(e[key] for e in entries if key in e and not isinstance(e[key], (float, list, dict)))
        )
        if len(values) > 1:
            notes.append(f"**Not comparable**: {heading}: `{key}` differs: {', '.join(map(str, values))}.")
    return notes


def _decimals(x: float, digits: int) -> int:
    """Decimal places that show `digits` significant digits of x, at most 8."""
    return 0 if x == 0 else min(max(digits - 1 - math.floor(math.log10(abs(x))), 0), 8)
