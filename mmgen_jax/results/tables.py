"""Results of a sweep as a Markdown table: values, means over seeds, and intervals. Pure functions of result lines."""

from __future__ import annotations

import dataclasses
import math
import os
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mmgen_jax.errors import InputError
from mmgen_jax.results import notes
from mmgen_jax.results.notes import OWN, PROCESSOR, Line

ENOUGH = 3  # seeds for an interval over seeds: of two, Student's t would be 12.7 standard errors
NOT_RUN = "not run"
NOT_MEASURED = "–"


@dataclasses.dataclass(frozen=True)
class Summary:
    """One metric over the seeds of one row.

    Args:
      values: one for each seed.
      intervals: `(low, high)` of each value, over the examples that it was measured on; None where it has none.
    """

    values: tuple[float, ...]
    intervals: tuple[tuple[float, float] | None, ...]

    @property
    def n(self) -> int:
        """The number of seeds."""
        return len(self.values)

    @property
    def mean(self) -> float:
        """The mean over the seeds."""
        return float(np.mean(self.values))

    @property
    def half_width(self) -> float | None:
        """Half the width of the 95 % interval over seeds, t(0.975, n - 1) s / sqrt(n); None of fewer than `ENOUGH`.

        The interval assumes independent runs and normally distributed values.
        """
        from scipy.special import stdtrit

        if self.n < ENOUGH:
            return None
        return float(stdtrit(self.n - 1, 0.975) * np.std(self.values, ddof=1) / math.sqrt(self.n))

    def __str__(self) -> str:
        if (half := self.half_width) is None:
            return ", ".join(_single(*each) for each in zip(self.values, self.intervals))
        decimals = _decimals(half, 2) if half else _decimals(self.mean, 4)
        return f"{self.mean:.{decimals}f} ± {half:.{decimals}f}"


def _single(value: float, interval: tuple[float, float] | None) -> str:
    width = interval[1] - interval[0] if interval else 0
    decimals = _decimals(width / 2, 2) if width else _decimals(value, 4)
    brackets = " [{:.{d}f}, {:.{d}f}]".format(*interval, d=decimals) if interval else ""
    return f"{value:.{decimals}f}{brackets}"


def value(line: Line, metric: str) -> float | None:
    """The value in a line of `<split>/<evaluator>/<metric>`, or of a field of `OWN`; None where it was not measured."""
    if metric in OWN:
        return None if "baseline" in line or metric not in line else float(line[metric])
    measured = line["metrics"].get(metric, {}).get("value")
    return None if measured is None else float(measured)


def summarise(lines: Sequence[Line], metric: str) -> Summary | None:
    """The metric over the lines of one row, one line for each seed; None where no line has the metric.

    Raises:
      InputError: two lines have the same seed.
    """
    seeds = [line["seed"] for line in lines]
    if repeated := sorted({seed for seed in seeds if seeds.count(seed) > 1}):
        raise InputError(f"{metric}: expected one line per seed, got {seeds.count(repeated[0])} of seed {repeated[0]}")
    found = [(x, interval(line, metric)) for line in lines if (x := value(line, metric)) is not None]
    return Summary(tuple(x for x, _ in found), tuple(own for _, own in found)) if found else None


def interval(line: Line, metric: str) -> tuple[float, float] | None:
    """The 95 % interval that a line has of a metric, over the examples measured; None where the line has none."""
    own = {} if metric in OWN else line["metrics"].get(metric, {})
    if not own.get("interval"):
        return None
    low, high = own["interval"]
    return low, high


def markdown(rows: Mapping[str, Sequence[str]], lines: Iterable[Line], columns: Mapping[str, str]) -> str:
    """A Markdown table, followed by the commits and the hardware of its numbers and by warnings.

    A warning names each column whose numbers are not comparable, for example because they are from two judges. A
    number is marked where spoilt real examples have a better number: there, the metric does not show quality. A note
    names the rows that are better than the reference on real examples, with the meaning (`notes.BEYOND`).

    Args:
      rows: `{label: config hashes}`, one hash for each seed. Lines with other hashes are of other configs and are left
        out.
      lines: the lines of `results.jsonl`; of several lines with one hash the last is used.
      columns: `{heading: metric}`, see `value`. A column of processor seconds is left out where no line has them.
    """
    by_hash = {line["config_hash"]: line for line in lines}
    found = {label: [by_hash[h] for h in hashes if h in by_hash] for label, hashes in rows.items()}
    shown = [line for part in found.values() for line in part]
    timed = any(value(line, PROCESSOR) is not None for line in shown)
    columns = {heading: metric for heading, metric in columns.items() if timed or metric != PROCESSOR}
    table = [["", *columns, "seeds"]]
    beaten: dict[str, list[str]] = {}  # {note: labels of the rows that it is of}
    for label, hashes in rows.items():
        summaries = [summarise(found[label], metric) for metric in columns.values()]
        missing = NOT_MEASURED if found[label] else NOT_RUN
        cells = [missing if summary is None else _shown(summary, len(found[label])) for summary in summaries]
        for i, (heading, metric) in enumerate(columns.items()):
            if better := [control for line in found[label] if (control := notes.better_control(line, metric))]:
                cells[i] += f" {notes.BEATEN}"
                beaten.setdefault(f"{heading}: {better[0]}", []).append(label)
        table.append([label, *cells, f"{len(found[label])} of {len(hashes)}"])
    table.insert(1, ["---"] + ["---:"] * (len(columns) + 1))
    below = [
        *notes.origin(shown),
        *(
            f"{notes.BEATEN} Not shown as quality. {what}, is better than {', '.join(of)}."
            for what, of in beaten.items()
        ),
        *notes.controls(shown, columns),
        *notes.without_controls(shown, columns),
        *notes.shared(shown, columns),
        *(note for heading, metric in columns.items() for note in notes.beyond(found, heading, metric)),
        *(note for heading, metric in columns.items() for note in notes.differences(shown, heading, metric)),
    ]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in table) + "".join(f"\n\n{note}" for note in below)


def table(
    experiment: str | os.PathLike, columns: Mapping[str, str], shown: Callable[[str], bool] = lambda label: True
) -> str:
    """`markdown` of the `sweep.py` and `results.jsonl` in the folder `experiment`.

    Args:
      columns: `{heading: metric}`.
      shown: whether the row with a given label is part of the table.
    """
    from mmgen_jax.results.cells import load
    from mmgen_jax.results.lines import FILE, read

    rows = {}
    for cell in load(pathlib.Path(experiment) / "sweep.py"):
        if shown(cell.label):
            rows.setdefault(cell.label, []).append(cell.config_hash)
    return markdown(rows, read(pathlib.Path(experiment) / FILE), columns)


def with_baselines(experiment: str | os.PathLike, columns: Mapping[str, str]) -> str:
    """As `table`, with one row for each baseline (`baselines` of the entries) below its row.

    A baseline is measured as the model beside it (`evaluators/measures/paired.py`), for each seed of the model.
    """
    from mmgen_jax.results.cells import load
    from mmgen_jax.results.lines import FILE, read

    by_hash = {line["config_hash"]: line for line in read(pathlib.Path(experiment) / FILE)}
    rows, made = {}, []
    for cell in load(pathlib.Path(experiment) / "sweep.py"):
        rows.setdefault(cell.label, []).append(cell.config_hash)
        if (line := by_hash.get(cell.config_hash)) is None:
            continue
        made.append(line)
        entries = {metric: line["metrics"].get(metric, {}) for metric in columns.values()}
        entries = {metric: entry for metric, entry in entries.items() if entry.get("baselines")}
        for name in dict.fromkeys(name for entry in entries.values() for name in entry["baselines"]):
            label = f"{cell.label}: {name.replace('_', ' ')}"
            rows.setdefault(label, []).append(f"{label}, {cell.seed}")
            # `how` a baseline was computed is left out: it is no field of the model's entry.
            beside = {m: e | e["baselines"][name] | {"baselines": {}, "how": ""} for m, e in entries.items()}
            if any(other["config_hash"] in rows[label] and _same(other["metrics"], beside) for other in made):
                rows[label].pop()  # the same baseline was measured with another seed
                continue
            made.append(line | {"config_hash": rows[label][-1], "baseline": name, "metrics": beside})
    return markdown(rows, made, columns)


def _same(metrics: Mapping[str, Any], others: Mapping[str, Any]) -> bool:
    """Whether two baselines have the same values, in the same intervals over examples."""
    return all(
        (metrics[m]["value"], metrics[m].get("interval")) == (e["value"], e.get("interval")) for m, e in others.items()
    )


def _shown(summary: Summary, num_lines: int) -> str:
    return str(summary) if summary.n == num_lines else f"{summary} (n = {summary.n})"


def _decimals(x: float, digits: int) -> int:
    """The number of decimal places, at most 8, that shows `digits` significant digits of x."""
    return 0 if x == 0 else min(max(digits - 1 - math.floor(math.log10(abs(x))), 0), 8)
