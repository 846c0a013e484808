"""Prints the table of results.jsonl in Markdown: python experiments/text_to_image_emoji/table.py"""

import pathlib

from mmgen_jax.results.lines import FILE, read
from mmgen_jax.results.tables import table

TITLE = "Text to image on emoji"
ABOUT = """
How often a retrieval model, the judge, finds the name that a glyph was drawn from, among 60 names of glyphs that no
training has shown. The models are trained on one half of the training glyphs, the judge on the other half. *training
image of the nearest name* is a picture of the models' half, looked up by its name.
"""
SPLIT = "validation+test"
COLUMNS = {
    "recall@1 ↑": f"{SPLIT}/retrieval/recall@1",
    "recall@5 ↑": f"{SPLIT}/retrieval/recall@5",
    "recall@10 ↑": f"{SPLIT}/retrieval/recall@10",
    "training, processor s": "processor_seconds",
}


def beside(folder: pathlib.Path) -> str:
    """The recall of the real pictures by the judge, and chance."""
    entries = next((line["metrics"] for line in read(folder / FILE)), {})
    ranks = {heading.split()[0]: entries[metric] for heading, metric in COLUMNS.items() if metric in entries}
    real = ", ".join(f"{rank} {entry['reference']:.3f}" for rank, entry in ranks.items())
    chance = ", ".join(f"{rank} {entry['chance']:.3f}" for rank, entry in ranks.items())
    return f"The real pictures of the same names: {real}. Chance: {chance}." if ranks else ""


def tables() -> str:
    folder = pathlib.Path(__file__).parent
    return f"{table(folder, COLUMNS)}\n\n{beside(folder)}"


if __name__ == "__main__":
    print(tables())
