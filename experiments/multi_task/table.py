"""Prints the tables of results.jsonl in Markdown: python experiments/multi_task/table.py"""

import pathlib

from mmgen_jax.results.cells import load
from mmgen_jax.results.lines import FILE, read
from mmgen_jax.results.tables import NOT_RUN, summarise

TITLE = "One model for several labels"
ABOUT = """
Test accuracy of a model for each label (*alone*) and of one model for all labels of an example (*together*). The one
model costs a fourth to a fifth of a model for each, and loses 0 to 16 points of accuracy in the same number of steps.
"""
FOLDER = pathlib.Path(__file__).parent


def tables() -> str:
    """A row per label: test accuracy of its own model and of the one for all, and the seconds that each took."""
    lines = {line["config_hash"]: line for line in read(FOLDER / FILE)}
    rows, shown = {}, []  # {(data set, label or "all"): lines of its seeds}
    for cell in load(FOLDER / "sweep.py"):
        dataset, _, label = cell.reference.rpartition(":")[2].partition(",")
        found = rows.setdefault((dataset, label or "all"), [])
        found += [lines[cell.config_hash]] if cell.config_hash in lines else []
    for dataset, label in rows:
        if label == "all":
            seconds = summarise(rows[dataset, label], "seconds")
            shown += ["", f"| {dataset} | chance | alone | together | alone, s | together, s |", "|---|" + "---:|" * 5]
            continue
        metric = f"test/{label}/accuracy"
        alone, together = rows[dataset, label], rows[dataset, "all"]
        chance = {f"{line['metrics'][metric]['baseline']:.3f}" for line in alone}
        cells = [summarise(of, metric) for of in (alone, together)] + [
            summarise(alone, "seconds"),
            seconds,
        ]
        cells = [" / ".join(sorted(chance)) or NOT_RUN, *(cell or NOT_RUN for cell in cells)]
        shown.append("| " + " | ".join([label, *map(str, cells)]) + " |")
    used = [line for found in rows.values() for line in found]
    origin = {key: ", ".join(dict.fromkeys(line[key] for line in used)) for key in ("commit", "hardware")}
    if used:
        shown += ["", f"Mean ± half the width of the 95 % interval over seeds. Commit: {origin['commit']}. "]
        shown[-1] += f"Hardware: {origin['hardware']}."
    return "\n".join(shown).strip()


if __name__ == "__main__":
    print(tables())
