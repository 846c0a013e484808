"""Prints one matrix for each family from results.jsonl in Markdown: python experiments/any_to_any/table.py"""

import pathlib

from mmgen_jax.results import lines
from mmgen_jax.results.cells import load

TITLE = "Any to any"
ABOUT = """
Rows are what is given, columns what is drawn. A cell is the share of samples in which a judge recognises what was asked
for, with its 95 % interval (Wilson), and in brackets the judge's own share on the true targets of the same examples.
Digits: the judges are classifiers trained on MNIST, on spoken digits and on moving digits; a caption is right where it
is one of the true captions. Scenes: all factors that the target shows are right, by an analytic judge. One seed.
"""
HEADINGS = {"digits": "Digits", "scenes": "Scenes"}
FAMILIES = ("adversarial", "variational", "autoregressive", "diffusion")
GIVEN = ("text", "image", "audio")
TARGETS = ("text", "image", "audio", "video")
# The metric of a cell by data and target, the first that a line has.
METRICS = (
    "test/accuracy/accuracy",
    "test/coherence/all",
    "test/captions/exact",
    "test/captions/all",
)
NOT_RUN = "not run"


def tables() -> str:
    folder = pathlib.Path(__file__).parent
    by_hash = {line["config_hash"]: line for line in lines.read(folder / lines.FILE)}
    found = {cell.label: by_hash.get(cell.config_hash) for cell in load(folder / "sweep.py")}
    parts = []
    for data, heading in HEADINGS.items():
        for family in FAMILIES:
            rows = [["", *TARGETS], ["---", *["---:"] * len(TARGETS)]]
            for given in GIVEN:
                rows.append([f"from {given}", *(_cell(found, data, given, target, family) for target in TARGETS)])
            text = "\n".join("| " + " | ".join(row) + " |" for row in rows)
            parts.append(f"{heading}, {family}\n\n{text}")
    return "\n\n".join([*parts, _origin([line for line in found.values() if line])])


def _cell(found, data, given, target, family) -> str:
    label = f"{data}: {given} to {target}, {family}"
    if label not in found:
        return "–"
    if (line := found[label]) is None:
        return NOT_RUN
    entry = next(line["metrics"][name] for name in METRICS if name in line["metrics"])
    low, high = entry["interval"]
    judge = entry.get("reference", entry.get("judge_accuracy"))
    beside = f" ({judge:.3f})" if judge is not None else ""
    return f"{entry['value']:.3f} [{low:.3f}, {high:.3f}]{beside}, {line['seconds'] / 60:.0f} min"


def _origin(shown) -> str:
    commits, machines = (", ".join(dict.fromkeys(str(line[key]) for line in shown)) for key in ("commit", "hardware"))
    return f"Commit: {commits}. Hardware: {machines}." if shown else "No run yet."


if __name__ == "__main__":
    print(tables())
