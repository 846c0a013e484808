"""Prints the tables of results.jsonl in Markdown: python experiments/completion_by_words/table.py"""

import pathlib

from mmgen_jax.results.tables import table

TITLE = "Completion with words"
ABOUT = """
Photos of clothing at 64 px with a large hole, completed by an adversarial model that is told the kind of the garment,
and by the same model without the text. *recognised*: the share of completed photos in which a classifier sees the true
kind. PSNR is of the whole photo, in dB.
"""
COLUMNS = {
    "recognised ↑": "test/accuracy/accuracy",
    "PSNR ↑": "test/error/psnr",
    "Fréchet distance ↓": "test/frechet/frechet_distance",
    "training, processor s": "processor_seconds",
}


def tables() -> str:
    return table(pathlib.Path(__file__).parent, COLUMNS)


if __name__ == "__main__":
    print(tables())
