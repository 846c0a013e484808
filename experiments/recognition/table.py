"""Prints the table of results.jsonl in Markdown: python experiments/recognition/table.py"""

import pathlib

from mmgen_jax.results import tables

COLUMNS = {
    "accuracy ↑": "test/accuracy/accuracy",
    "recall@1 ↑": "test/retrieval/recall@1",
    "training, s": "seconds",
}

if __name__ == "__main__":
    print(tables.table(pathlib.Path(__file__).parent, COLUMNS))
