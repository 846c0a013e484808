"""Prints the table of results.jsonl in Markdown: python experiments/text_to_image_scenes/table.py"""

import pathlib

from mmgen_jax.results.tables import table

TITLE = "Text to image on scenes"
ABOUT = """
The share of 1,000 samples in which an analytic judge sees the shape, colour and size that the caption asks for; the
judge is right on every true picture. *compositional* asks for pairs of shape and colour that training never shows.
*variety* is the standard deviation of pixels between samples of one caption; real pictures with different captions have
0.163.
"""
COLUMNS = {
    **{f"{name} ↑": f"test/coherence/{name}" for name in ("shape", "color", "size", "all")},
    **{f"{name}, compositional ↑": f"compositional/coherence/{name}" for name in ("shape", "all")},
    "variety": "test/variety/spread",
    "training, processor s": "processor_seconds",
}


def tables() -> str:
    return table(pathlib.Path(__file__).parent, COLUMNS)


if __name__ == "__main__":
    print(tables())
