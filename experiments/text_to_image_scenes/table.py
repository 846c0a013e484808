"""Prints the table of results.jsonl in Markdown: python experiments/text_to_image_scenes/table.py"""

import pathlib

from mmgen_jax.results.tables import table

TITLE = "Text to image on scenes"
ABOUT = """
A caption asks for shape, colour and size; an analytic judge that is right on every true picture says in which share
of 1,000 samples they are there. *compositional* asks for pairs of shape and colour that training never shows.
*variety* is the spread of samples of one caption; that of real pictures, whatever their caption, is 0.163.
"""
COLUMNS = {
    **{f"{name} ↑": f"test/coherence/{name}" for name in ("shape", "color", "size", "all")},
    **{f"{name}, compositional ↑": f"compositional/coherence/{name}" for name in ("shape", "all")},
    "variety": "test/variety/spread",
    "training, s": "seconds",
}


def tables() -> str:
    return table(pathlib.Path(__file__).parent, COLUMNS)


if __name__ == "__main__":
    print(tables())
