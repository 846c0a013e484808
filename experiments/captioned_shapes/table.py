"""Prints the tables of results.jsonl in Markdown: python experiments/captioned_shapes/table.py"""

import pathlib

from mmgen_jax.results.tables import table

TITLE = "Captioned shapes at five levels"
ABOUT = """
Pictures and captions of one shape (`mmgen_jax/data/captioned_shapes.py` defines the levels): the share of test examples
where the drawn picture or text has **every** factor of the level right (strict). *together*: both drawn from the prior.
Analytic judges; chance is one over the number of captions: 6, 12, 72, 288, 576.
"""
COLUMNS = {
    "picture from caption ↑": "test/image_from_text/cross",
    "caption from picture ↑": "test/text_from_image/cross",
    "together ↑": "test/image_from_text/joint",
    "factors of the picture ↑": "test/image_from_text/cross_factors",
    "training, processor s": "processor_seconds",
}


def tables() -> str:
    return table(pathlib.Path(__file__).parent, COLUMNS)


if __name__ == "__main__":
    print(tables())
