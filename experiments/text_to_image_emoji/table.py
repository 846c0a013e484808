"""Prints the table of results.jsonl in Markdown: python experiments/text_to_image_emoji/table.py"""

import pathlib

from mmgen_jax.results import lines, tables

COLUMNS = {
    "recall@1 ↑": "test/retrieval/recall@1",
    "recall@5 ↑": "test/retrieval/recall@5",
    "recall@10 ↑": "test/retrieval/recall@10",
    "training, s": "seconds",
}


def beside(folder: pathlib.Path) -> str:
    """What the judge makes of the real pictures, and chance."""
    entries = next((line["metrics"] for line in lines.read(folder / lines.FILE)), {})
    ranks = {heading.split()[0]: entries[metric] for heading, metric in COLUMNS.items() if metric in entries}
    real = ", ".join(f"{rank} {entry['reference']:.3f}" for rank, entry in ranks.items())
    chance = ", ".join(f"{rank} {entry['chance']:.3f}" for rank, entry in ranks.items())
    return f"The real pictures of the same names: {real}. Chance: {chance}." if ranks else ""


if __name__ == "__main__":
    folder = pathlib.Path(__file__).parent
    print(tables.table(folder, COLUMNS), beside(folder), sep="\n\n")
