"""Prints the table of results.jsonl in Markdown: python experiments/recognition/table.py"""

import pathlib

from mmgen_jax.results.tables import table

TITLE = "Recognition"
ABOUT = """
The class of a picture from the picture alone. *recall@1* is of image-to-image retrieval among the test examples. Rows
of digits and rows of clothing are not comparable.
"""
COLUMNS = {
    "accuracy ↑": "test/accuracy/accuracy",
    "recall@1 ↑": "test/retrieval/recall@1",
    "training, processor s": "processor_seconds",
}


def tables() -> str:
    return table(pathlib.Path(__file__).parent, COLUMNS)


if __name__ == "__main__":
    print(tables())
