"""Prints the tables of results.jsonl in Markdown: python experiments/retrieval/table.py"""

import pathlib

from mmgen_jax.results import cells
from mmgen_jax.results.lines import FILE, read
from mmgen_jax.results.tables import markdown

TITLE = "Retrieval between pictures and texts"
ABOUT = """
How often the true text of a picture is among the k nearest of all test texts, and the reverse: among 172 emoji, and
among 1,000 scenes of 60 kinds, where captions allow 0.060, 0.300 and 0.598 in expectation.
"""
FOLDER = pathlib.Path(__file__).parent
DIRECTIONS = {"to_target": "picture to text", "from_target": "text to picture"}
COLUMNS = {
    f"{shown} @{k} ↑": f"test/recall/{direction}/recall@{k}"
    for direction, shown in DIRECTIONS.items()
    for k in (1, 5, 10)
} | {"training, s": "seconds"}


def tables() -> str:
    """A table per data set, the recall of a random order first."""
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
    """The line that a random order would have, from what stands beside a model's recall."""
    entries = {name: entry | {"value": entry["chance"]} for name, entry in line["metrics"].items()}
    return line | {"config_hash": "chance", "baseline": "chance", "metrics": entries}


if __name__ == "__main__":
    print(tables())
