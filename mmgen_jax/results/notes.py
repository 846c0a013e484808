"""Notes below a table of results: numbers that are not comparable, controls, numbers that are better than real."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Line = Mapping[str, Any]  # one line of results.jsonl
PROCESSOR = "processor_seconds"
OWN = (PROCESSOR, "seconds", "steps")  # fields of the line that can be shown like a metric
LEGEND = (
    "Of three seeds or more: mean ± half the width of the 95 % interval over seeds (Student's t). Of fewer seeds: the "
    "value of each, and in brackets its own 95 % interval, over the examples measured, where the metric has one."
)
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


def better_control(line: Line, metric: str) -> str:
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


def beyond(found: Mapping[str, Sequence[Line]], heading: str, metric: str) -> list[str]:
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


def without_controls(lines: Sequence[Line], columns: Mapping[str, str]) -> list[str]:
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


def origin(lines: Sequence[Line]) -> list[str]:
    """The legend of the intervals, the commits and the machines; nothing without lines."""
    if not lines:
        return []
    commits, machines = (", ".join(dict.fromkeys(str(line[key]) for line in lines)) for key in ("commit", "hardware"))
    return [f"{LEGEND} Commit: {commits}. Hardware: {machines}."]


def differences(lines: Sequence[Line], heading: str, metric: str) -> list[str]:
    """Warnings for one column: fields of the entries (words or counts, such as `n` or `judge`) that differ.

    An older line may lack a field that newer entries have; a missing field, or a field without a value, is no
    difference, but for `examples`.
    """
    entries = [line["metrics"][metric] for line in lines if metric not in OWN and metric in line["metrics"]]
    if any("examples" in entry for entry in entries):
        entries = [{"examples": "the first of the split"} | entry for entry in entries]
    notes = []
    for key in sorted(set().union(*entries) - {"value"}):
        values = list(
            dict.fromkeys(
                e[key] for e in entries if e.get(key) is not None and not isinstance(e[key], (float, list, dict))
            )
        )
        if len(values) > 1:
            notes.append(f"**Not comparable**: {heading}: `{key}` differs: {', '.join(map(str, values))}.")
    return notes


def controls(lines: Sequence[Line], columns: Mapping[str, str]) -> list[str]:
    """For each column with controls, their values in the first line that has them; those of other judges may differ."""
    notes = []
    for heading, metric in columns.items():
        for line in lines:
            entry = {} if metric in OWN else line["metrics"].get(metric, {})
            if found := entry.get("controls"):
                values = ", ".join(f"{name.replace('_', ' ')} {x:.3g}" for name, x in found.items() if x is not None)
                judge = f" (judge {entry['judge']})" if len(judges(lines, metric)) > 1 else ""
                notes.append(f"Controls, {heading}{judge}: {values}.")
                break
    return notes


def judges(lines: Sequence[Line], metric: str) -> set[str]:
    """The judges that have measured a metric."""
    entries = [line["metrics"].get(metric, {}) for line in lines if metric not in OWN]
    return {entry["judge"] for entry in entries if "judge" in entry}


def shared(lines: Sequence[Line], columns: Mapping[str, str]) -> list[str]:
    """A note on the columns whose judge learnt from training examples of the model as well."""
    names = [
        heading
        for heading, metric in columns.items()
        if any(metric not in OWN and line["metrics"].get(metric, {}).get("shares_training_items") for line in lines)
    ]
    return [f"**Judge and model share training examples** in lines of: {', '.join(names)}."] if names else []
