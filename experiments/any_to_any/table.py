"""Prints one matrix for each family from results.jsonl in Markdown: python experiments/any_to_any/table.py"""

import pathlib

from mmgen_jax.results import lines
from mmgen_jax.results.cells import load

TITLE = "Any to any"
ABOUT = """
Rows are conditions, columns are targets. A cell has the share of samples in which a judge recognises what was asked
for, its 95 % interval (Wilson) in brackets, the judge's share on the true targets of the same examples in parentheses,
and the processor time of the training where its line has the time. Digits: the judges are classifiers trained on MNIST,
on spoken digits and on moving digits, which are the training examples of the models too; a caption is right where it is
one of the true captions. Scenes: the share in which shape, colour and size are right, by an analytic judge, of clips
from sounds the motion too; a motion that only some texts tell is not counted. A letter names the judge where several
have measured a column. One seed. `–`: no such cell, or not measured. Then pairs of shape and colour that training
lacks: everything told, in parentheses the shape alone, whose chance is 0.167. Last, the share of true targets that the
judge still recognises when a run from text has encoded and decoded them.
"""
HEADINGS = {"digits": "Digits", "scenes": "Scenes"}
FAMILIES = ("adversarial", "variational", "autoregressive", "diffusion")
GIVEN = ("text", "image", "audio")
TARGETS = ("text", "image", "audio", "video")
# The metric of a cell: the first of these that the line has.
METRICS = (
    "test/accuracy/accuracy",
    "test/coherence/all",
    "test/captions/exact",
    "test/captions/all",
)
RECONSTRUCTION = "test/controls/reconstruction"
NOT_RUN = "not run"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
UNSEEN = ("compositional/coherence", "compositional/captions")


def tables() -> str:
    folder = pathlib.Path(__file__).parent
    by_hash = {line["config_hash"]: line for line in lines.read(folder / lines.FILE)}
    found = {cell.label: by_hash.get(cell.config_hash) for cell in load(folder / "sweep.py")}
    judges = _judges(found)
    parts = []
    for data, heading in HEADINGS.items():
        for family in FAMILIES:
            rows = [["", *TARGETS], ["---", *["---:"] * len(TARGETS)]]
            for given in GIVEN:
                rows.append(
                    [f"from {given}", *(_cell(found, judges, data, given, target, family) for target in TARGETS)]
                )
            parts.append(f"{heading}, {family}\n\n{_markdown(rows)}")
    parts.append(f"Scenes, pairs of shape and colour that training lacks\n\n{_unseen(found)}")
    parts.append(f"Encoded and decoded\n\n{_reconstructions(found, judges)}")
    several = [
        f"{data} to {target}: {', '.join(f'{letter} {name}' for letter, name in zip(LETTERS, hashes))}"
        for (data, target), hashes in judges.items()
    ]
    if several:
        parts.append(
            "Judges that were trained again on another machine: a letter names the judge of a cell, and only cells of "
            f"one column and one letter are comparable. {'; '.join(several)}."
        )
    return "\n\n".join([*parts, _origin([line for line in found.values() if line])])


def _unseen(found) -> str:
    """For each cell of scenes: everything told, and in parentheses the shape, for combinations that training lacks."""
    rows = [["", *FAMILIES], ["---", *["---:"] * len(FAMILIES)]]
    for given in GIVEN:
        for target in TARGETS:
            lines_of = [found.get(f"scenes: {given} to {target}, {family}") for family in FAMILIES]
            cells = [_unseen_cell(line["metrics"]) if line else "–" for line in lines_of]
            if set(cells) != {"–"}:
                rows.append([f"{target} from {given}", *cells])
    return _markdown(rows)


def _unseen_cell(metrics) -> str:
    for name in UNSEEN:
        if f"{name}/all" in metrics:
            whole, shape = (metrics[f"{name}/{part}"] for part in ("all", "shape"))
            return f"{_with_interval(whole)} ({_with_interval(shape)})"
    return "–"


def _with_interval(entry) -> str:
    low, high = entry["interval"]
    return f"{entry['value']:.3f} [{low:.3f}, {high:.3f}]"


def _letter(entry, hashes) -> str:
    """The letter of the entry's judge, among the judges of its column; "" where one judge has measured the column."""
    return f" {LETTERS[hashes.index(entry['judge'])]}" if entry.get("judge") in hashes else ""


def _entry(line):
    """The entry of a cell's metric."""
    return next(line["metrics"][name] for name in METRICS if name in line["metrics"])


def _judges(found) -> dict[tuple[str, str], list[str]]:
    """`{(data, target): hashes}` of the columns that several judges have measured; hashes in order of first use."""
    by_column: dict[tuple[str, str], dict[str, None]] = {}
    for label, line in found.items():
        if line and "judge" in _entry(line):
            data, _, rest = label.partition(": ")
            target = rest.partition(" to ")[2].partition(",")[0]
            by_column.setdefault((data, target), {})[_entry(line)["judge"]] = None
    return {column: list(hashes) for column, hashes in by_column.items() if len(hashes) > 1}


def _reconstructions(found, judges) -> str:
    rows = [["", *TARGETS[1:]], ["---", *["---:"] * len(TARGETS[1:])]]
    for data, heading in HEADINGS.items():
        for family in FAMILIES:
            kept = [(found[f"{data}: text to {to}, {family}"] or {"metrics": {}})["metrics"] for to in TARGETS[1:]]
            if any(RECONSTRUCTION in metrics for metrics in kept):
                entries = [(to, metrics.get(RECONSTRUCTION)) for to, metrics in zip(TARGETS[1:], kept)]
                cells = (_with_interval(x) + _letter(x, judges.get((data, to), [])) if x else "–" for to, x in entries)
                rows.append([f"{heading}, {family}", *cells])
    return _markdown(rows)


def _markdown(rows) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _cell(found, judges, data, given, target, family) -> str:
    label = f"{data}: {given} to {target}, {family}"
    if label not in found:
        return "–"
    if (line := found[label]) is None:
        return NOT_RUN
    entry = _entry(line)
    letter = _letter(entry, judges.get((data, target), []))
    judge = entry.get("reference", entry.get("judge_accuracy"))
    beside = f" ({judge:.3f})" if judge is not None else ""
    time = f", {line['processor_seconds'] / 60:.0f} min" if "processor_seconds" in line else ""
    return f"{_with_interval(entry)}{beside}{letter}{time}"


def _origin(shown) -> str:
    commits, machines = (", ".join(dict.fromkeys(str(line[key]) for line in shown)) for key in ("commit", "hardware"))
    return f"Commit: {commits}. Hardware: {machines}." if shown else "No run yet."


if __name__ == "__main__":
    print(tables())
