"""Prints the table of results.jsonl in Markdown: python experiments/text_to_image_scenes/table.py"""

import pathlib

from mmgen_jax.results import tables

COLUMNS = {
    **{f"{name} ↑": f"test/coherence/{name}" for name in ("shape", "color", "size", "all")},
    **{f"{name}, compositional ↑": f"compositional/coherence/{name}" for name in ("shape", "all")},
    "variety": "test/variety/spread",
    "training, s": "seconds",
}

if __name__ == "__main__":
    print(tables.table(pathlib.Path(__file__).parent, COLUMNS))
