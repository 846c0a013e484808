"""Prints the table of results.jsonl in Markdown: python experiments/text_to_image_emoji/table.py"""

import pathlib

from mmgen_jax.results.lines import FILE, read
from mmgen_jax.results.tables import table

TITLE = "Text to image on emoji"
ABOUT = """
How often a retrieval model finds the name that a glyph was drawn from, among all 172 test names. The retrieval model
has seen the training pictures with their names, which is probably why a training picture looked up by the nearest
name does better than the real picture.
"""
COLUMNS = {
    "recall@1 ↑": "test/retrieval/recall@1",
    "recall@5 ↑": "test/retrieval/recall@5",
    "recall@10 ↑": "test/retrieval/recall@10",
    "training, s": "seconds",
}


def beside(folder: pathlib.Path) -> str:
    """What the judge makes of the real pictures, and chance."""
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
