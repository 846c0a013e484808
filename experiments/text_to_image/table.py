"""Prints the table of results.jsonl in Markdown: python experiments/text_to_image/table.py"""

import pathlib

from mmgen_jax.results import tables

COLUMNS = {
    "asked digit recognised ↑": "test/accuracy/accuracy",
    "Fréchet distance ↓": "test/frechet/frechet_distance",
    "precision ↑": "test/frechet/precision",
    "recall ↑": "test/frechet/recall",
    "training, s": "seconds",
}

if __name__ == "__main__":
    print(tables.table(pathlib.Path(__file__).parent, COLUMNS))
