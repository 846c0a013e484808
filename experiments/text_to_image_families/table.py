"""Prints the table of results.jsonl in Markdown: python experiments/text_to_image_families/table.py"""

import pathlib

from mmgen_jax.results import tables

COLUMNS = {
    "shape ↑": "test/coherence/shape",
    "color ↑": "test/coherence/color",
    "size ↑": "test/coherence/size",
    "all ↑": "test/coherence/all",
    "all, compositional ↑": "compositional/coherence/all",
    "training, s": "seconds",
}

if __name__ == "__main__":
    print(tables.table(pathlib.Path(__file__).parent, COLUMNS))
