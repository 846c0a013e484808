"""Prints the table of results.jsonl in Markdown: python experiments/text_to_image/table.py"""

import pathlib

from mmgen_jax.results.tables import table

TITLE = "Text to image on digits"
ABOUT = """
*asked digit recognised*: the share of 1,000 samples in which a classifier sees the digit that the caption asks for. The
classifier is right on 99.47 % of the MNIST test images. The distances are in the features of this classifier.
"""
COLUMNS = {
    "asked digit recognised ↑": "test/accuracy/accuracy",
    "Fréchet distance ↓": "test/frechet/frechet_distance",
    "precision ↑": "test/frechet/precision",
    "recall ↑": "test/frechet/recall",
    "training, processor s": "processor_seconds",
}


def tables() -> str:
    return table(pathlib.Path(__file__).parent, COLUMNS)


if __name__ == "__main__":
    print(tables())
