"""Prints the table of results.jsonl in Markdown: python experiments/video_recognition/table.py"""

import pathlib

from mmgen_jax.results.tables import table

TITLE = "Recognition of clips"
ABOUT = """
Accuracy on the test clips: the direction of a motion in scenes (2,000 clips), the digit that moves (10,000), the first
word of a sentence of GRID's speaker 1 from face and voice (111). Rows of different data are not comparable.
"""
COLUMNS = {"accuracy ↑": "test/accuracy/accuracy", "training, processor s": "processor_seconds"}
DATA = ("scenes", "digits", "face and voice")


def tables() -> str:
    folder = pathlib.Path(__file__).parent
    return "\n\n".join(table(folder, COLUMNS, lambda label, data=data: label.startswith(data)) for data in DATA)


if __name__ == "__main__":
    print(tables())
