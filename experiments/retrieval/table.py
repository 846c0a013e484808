"""Prints the tables of results.jsonl in Markdown: python experiments/retrieval/table.py"""

import pathlib

from mmgen_jax.results import cells
from mmgen_jax.results.lines import FILE, read
from mmgen_jax.results.tables import markdown

TITLE = "Retrieval between pictures and texts"
ABOUT = """
The share of pictures whose true text is among the k nearest test texts, and the reverse: among 160 emoji, and
among 1,000 scenes of 60 kinds. Captions do not tell scenes of one kind apart, so a model that
recognises every kind has an expected recall@1, 5 and 10 of 0.060, 0.300 and 0.598.
"""
FOLDER = pathlib.Path(__file__).parent
DIRECTIONS = {"to_target": "picture to text", "from_target": "text to picture"}
COLUMNS = {
    f"{shown} @{k} ↑": f"test/recall/{direction}/recall@{k}"
    for direction, shown in DIRECTIONS.items()
    for k in (1, 5, 10)
} | {"training, processor s": "processor_seconds"}


def tables() -> str:
    """A table for each data set; its first row is the recall of a random order."""
    lines, rows = read(FOLDER / FILE), {}
    for cell in cells.load(FOLDER / "sweep.py"):
        dataset, _, loss = cell.label.partition(", ")
        rows.setdefault(dataset, {}).setdefault(loss, []).append(cell.config_hash)
    shown = []
    for dataset, losses in rows.items():
        hashes = {config_hash for found in losses.values() for config_hash in found}
        measured = [line for line in lines if line["config_hash"] in hashes]
        first = [random_order(line) for line in measured[:1]]
        shown.append(f"**{dataset}**\n\n" + markdown({"chance": ["chance"]} | losses, first + measured, COLUMNS))
    return "\n\n".join(shown)


def random_order(line):
    """A line of a random order, made from the values of chance in a model's line."""
    entries = {
        name: {"value": entry["chance"], **{field: entry[field] for field in ("n", "examples") if field in entry}}
        for name, entry in line["metrics"].items()
    }
    return line | {"config_hash": "chance", "baseline": "chance", "metrics": entries}


if __name__ == "__main__":
    print(tables())
