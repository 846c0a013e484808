"""Prints the table of results.jsonl in Markdown: python experiments/augmentation/table.py"""

import pathlib

from mmgen_jax.results import tables

COLUMNS = {"accuracy ↑": "test/accuracy/accuracy", "training, s": "seconds"}

if __name__ == "__main__":
    print(tables.table(pathlib.Path(__file__).parent, COLUMNS))
