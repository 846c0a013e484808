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

Line = Mapping[str, Any]  # one line of results.jsonl
PROCESSOR = "processor_seconds"
OWN = (PROCESSOR, "seconds", "steps")  # fields of the line that can be shown like a metric
ENOUGH = 3  # seeds for an interval over seeds: of two, Student's t would be 12.7 standard errors
LEGEND = (
    "Of three seeds or more: mean ± half the width of the 95 % interval over seeds (Student's t). Of fewer seeds: the "
    "value of each, and in brackets its own 95 % interval, over the examples measured, where the metric has one."
)
NOT_RUN = "not run"
NOT_MEASURED = "–"
BEATEN = "†"  # beside a number that a control surpasses

PAIRED = "and a sample from a condition is compared with real examples among which is the condition's own"

# The meaning of a number that is better than its reference, by the beginning of the metric's name.
BEYOND = {
    "recall@": "the judge does not find the caption of every real picture; a sample that it finds is no better picture",
    "accuracy": "the judge does not recognise every real example; a sample that it recognises is no better example",
    "cider_d": "the reference is of true captions that are drawn at random, not of the captions with the highest score",
    "precision": "more samples than real examples lie where real examples are dense; recall tells what is left out",
    "density": "samples are denser than real examples where these are dense; coverage tells what samples leave out",
    "frechet_distance": f"the reference is of half as many examples, of which the distance is larger; {PAIRED}",
    "swd": f"the reference is of half as many pictures, of which the distance is larger; {PAIRED}",
    "kernel_distance": f"the reference is of half as many examples, and varies more; {PAIRED}",
}
OTHERWISE = "the reference is a measurement of real examples, not a bound; a better number is no better example"


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
    names the rows that are better than the reference on real examples, with the meaning (`BEYOND`).

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
            if better := [control for line in found[label] if (control := _better_control(line, metric))]:
                cells[i] += f" {BEATEN}"
                beaten.setdefault(f"{heading}: {better[0]}", []).append(label)
        table.append([label, *cells, f"{len(found[label])} of {len(hashes)}"])
    table.insert(1, ["---"] + ["---:"] * (len(columns) + 1))
    notes = [
        *_origin(shown),
        *(f"{BEATEN} Not shown as quality. {what}, is better than {', '.join(of)}." for what, of in beaten.items()),
        *_without_controls(shown, columns),
        *(note for heading, metric in columns.items() for note in _beyond(found, heading, metric)),
        *(note for heading, metric in columns.items() for note in _differences(shown, heading, metric)),
    ]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in table) + "".join(f"\n\n{note}" for note in notes)


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


def _better_control(line: Line, metric: str) -> str:
    """The control with the best value, if this value is better than the line's; else "".

    A control is of spoilt real examples, or of a trivial predictor.

    The field `better` of an entry is `lower`, `higher` or `reference` (nearer to the reference). The control `real`
    does not count: its examples are not spoilt.
    """
    entry = {} if metric in OWN else line["metrics"].get(metric, {})
    controls = {name: x for name, x in (entry.get("controls") or {}).items() if name != "real"}
    if not controls or entry["value"] is None:
        return ""
    losses = {"lower": lambda x: x, "higher": lambda x: -x, "reference": lambda x: abs(x - entry["reference"])}
    loss = losses[entry["better"]]
    best = min(controls, key=lambda name: loss(controls[name]))
    worse = loss(controls[best]) >= loss(entry["value"])
    return "" if worse else f"the control `{best}`, {controls[best]:.4g}"


def _beyond(found: Mapping[str, Sequence[Line]], heading: str, metric: str) -> list[str]:
    """A note on the rows of a column that are better than their reference; no note for a column without an arrow."""
    name = metric.rpartition("/")[2]
    meaning = next((text for start, text in BEYOND.items() if name.startswith(start)), OTHERWISE)
    sign = 1 if "↑" in heading else -1
    better = []
    for label, lines in found.items():
        entries = [line["metrics"].get(metric, {}) for line in lines if metric not in OWN and "baseline" not in line]
        known = [entry for entry in entries if entry.get("reference") is not None and entry.get("value") is not None]
        better += [label] if any(sign * entry["value"] > sign * entry["reference"] for entry in known) else []
    if not better or heading[-1] not in "↑↓":
        return []
    return [f"**Better than the real examples**, {heading}: {', '.join(better)}. It means: {meaning}."]


def _without_controls(lines: Sequence[Line], columns: Mapping[str, str]) -> list[str]:
    """A note on columns of metrics with controls, some lines of which are older than the controls.

    Metrics with controls are the metrics in a judge's features, sliced Wasserstein distances and MS-SSIM.
    """
    old = [heading for heading, metric in columns.items() if any(_lacks_controls(line, metric) for line in lines)]
    return [f"**Without controls** in some lines, which are older than the controls: {', '.join(old)}."] if old else []


def _lacks_controls(line: Line, metric: str) -> bool:
    entry = {} if metric in OWN else line["metrics"].get(metric, {})
    beside = {"baseline", "baselines"} & set(entry)  # of `style`, in place of controls
    controlled = {"features", "patches"} & set(entry) and not beside
    controlled = controlled or (entry and metric.endswith("/ms_ssim"))
    return bool(controlled) and "controls" not in entry


def _origin(lines: Sequence[Line]) -> list[str]:
    if not lines:
        return []
    commits, machines = (", ".join(dict.fromkeys(str(line[key]) for line in lines)) for key in ("commit", "hardware"))
    return [f"{LEGEND} Commit: {commits}. Hardware: {machines}."]


def _differences(lines: Sequence[Line], heading: str, metric: str) -> list[str]:
    """Warnings for one column: fields of the entries (words or counts, such as `n` or `judge`) that differ.

    An older line may lack a field that newer entries have; a missing field is no difference, but for `examples`.
    """
    entries = [line["metrics"][metric] for line in lines if metric not in OWN and metric in line["metrics"]]
    if any("examples" in entry for entry in entries):
        entries = [{"examples": "the first of the split"} | entry for entry in entries]
    notes = []
    for key in sorted(set().union(*entries) - {"value"}):
        values = list(
            dict.fromkeys(e[key] for e in entries if key in e and not isinstance(e[key], (float, list, dict)))
        )
        if len(values) > 1:
            notes.append(f"**Not comparable**: {heading}: `{key}` differs: {', '.join(map(str, values))}.")
    return notes


def _decimals(x: float, digits: int) -> int:
    """The number of decimal places, at most 8, that shows `digits` significant digits of x."""
    return 0 if x == 0 else min(max(digits - 1 - math.floor(math.log10(abs(x))), 0), 8)
