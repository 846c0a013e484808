"""Prints the tables of results.jsonl in Markdown: python experiments/multi_task/table.py"""

import pathlib

from mmgen_jax.results.cells import load
from mmgen_jax.results.lines import FILE, read
from mmgen_jax.results.notes import LEGEND, PROCESSOR
from mmgen_jax.results.tables import NOT_MEASURED, NOT_RUN, summarise, value

TITLE = "One model for several labels"
ABOUT = """
Test accuracy of a separate model for each label (*alone*) and of one model for all labels of an example (*together*).
The mean accuracy of the joint model is 0 to 16 points lower; the intervals are apart only for the colour of GRID. The
joint model takes the same number of steps as each separate model: a fourth (scenes) or a sixth (GRID) of the steps of
all separate models together.
"""
FOLDER = pathlib.Path(__file__).parent


def tables() -> str:
    """A row per label: test accuracy of the separate and of the joint model; their processor seconds where known."""
    lines = {line["config_hash"]: line for line in read(FOLDER / FILE)}
    rows, shown = {}, []  # {(data set, label or "all"): lines of its seeds}
    for cell in load(FOLDER / "sweep.py"):
        dataset, _, label = cell.reference.rpartition(":")[2].partition(",")
        found = rows.setdefault((dataset, label or "all"), [])
        found += [lines[cell.config_hash]] if cell.config_hash in lines else []
    used = [line for found in rows.values() for line in found]
    timed = any(value(line, PROCESSOR) is not None for line in used)
    columns = ["chance", "alone", "together"] + ["alone, processor s", "together, processor s"] * timed
    for dataset, label in rows:
        if label == "all":
            shown += ["", f"| {' | '.join([dataset, *columns])} |", "|---|" + "---:|" * len(columns)]
            continue
        metric = f"test/{label}/accuracy"
        alone, together = rows[dataset, label], rows[dataset, "all"]
        chance = {f"{line['metrics'][metric]['baseline']:.3f}" for line in alone}
        cells = [summarise(of, metric) or NOT_RUN for of in (alone, together)]
        cells += [summarise(of, PROCESSOR) or NOT_MEASURED for of in (alone, together)] if timed else []
        cells = [" / ".join(sorted(chance)) or NOT_RUN, *cells]
        shown.append("| " + " | ".join([label, *map(str, cells)]) + " |")
    origin = {key: ", ".join(dict.fromkeys(line[key] for line in used)) for key in ("commit", "hardware")}
    if used:
        shown += ["", f"{LEGEND} Commit: {origin['commit']}. Hardware: {origin['hardware']}."]
    return "\n".join(shown).strip()


if __name__ == "__main__":
    print(tables())
