"""Prints the tables of results.jsonl in Markdown: python experiments/captioning/table.py"""

import pathlib

from mmgen_jax.results import cells
from mmgen_jax.results.lines import FILE, read
from mmgen_jax.results.tables import markdown

TITLE = "Captions"
ABOUT = """
Captions of test pictures. *exact*: the caption equals a true caption, word for word. *all factors right*: the caption
states the true shape, colour and size; *compositional*: the same on pictures whose pairs of shape and colour training
never shows. *nearest training picture* is the baseline: the caption of the training picture with the least squared
distance.
"""
FOLDER = pathlib.Path(__file__).parent
COLUMNS = {
    "BLEU-1 ↑": "test/captions/bleu_1",
    "BLEU-4 ↑": "test/captions/bleu_4",
    "CIDEr-D ↑": "test/captions/cider_d",
    "exact ↑": "test/captions/exact",
    "all factors right ↑": "test/factors/all",
    "all, compositional ↑": "compositional/factors/all",
    "distinct-2": "test/captions/distinct_2",
    "self-BLEU": "test/captions/self_bleu",
    "training, processor s": "processor_seconds",
}


def tables() -> str:
    """A table for each data set; its first row is the baseline, the caption of the nearest training picture."""
    lines, rows = read(FOLDER / FILE), {}
    for cell in cells.load(FOLDER / "sweep.py"):
        dataset, _, model = cell.label.partition(", ")
        rows.setdefault(dataset, {}).setdefault(model, []).append(cell.config_hash)
    shown = []
    for dataset, models in rows.items():
        hashes = {config_hash for found in models.values() for config_hash in found}
        measured = [line for line in lines if line["config_hash"] in hashes]
        by_seed = {line["seed"]: nearest(line) for line in measured}  # all models of a seed have the same baseline
        first = {"nearest training picture": [line["config_hash"] for line in by_seed.values()]}
        columns = {k: v for k, v in COLUMNS.items() if dataset == "scenes" or "factors" not in v}
        shown.append(f"**{dataset}**\n\n" + markdown(first | models, [*by_seed.values(), *measured], columns))
    return "\n\n".join(shown)


def nearest(line):
    """A line of the baseline, made from the baseline values in a model's line."""
    measured = {name: entry for name, entry in line["metrics"].items() if entry.get("baseline") is not None}
    entries = {
        name: {"value": entry["baseline"], **{field: entry[field] for field in ("n", "examples") if field in entry}}
        for name, entry in measured.items()
    }
    return line | {"config_hash": f"nearest {line['seed']}", "baseline": "nearest", "metrics": entries}


if __name__ == "__main__":
    print(tables())
