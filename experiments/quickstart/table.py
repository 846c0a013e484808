"""Prints the table of results.jsonl in Markdown: python experiments/quickstart/table.py"""

import pathlib

from mmgen_jax.results.tables import table

TITLE = "Quickstart"
ABOUT = """
The share of 1,000 samples in which an analytic judge sees the factor that caption and sound ask for. The judge is right
on all true renders of the same examples. *compositional*: caption and sound ask for pairs of shape and colour that
training never shows. Chance is 1/6 (shape), 1/6 (color), 1/2 (size) and 1/72 (all).
"""
COLUMNS = {
    **{f"{name} ↑": f"test/coherence/{name}" for name in ("shape", "color", "size", "all")},
    **{f"{name}, compositional ↑": f"compositional/coherence/{name}" for name in ("shape", "color", "size", "all")},
    "training, processor s": "processor_seconds",
}


def tables() -> str:
    return table(pathlib.Path(__file__).parent, COLUMNS)


if __name__ == "__main__":
    print(tables())
