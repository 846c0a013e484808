"""Prints the table of results.jsonl in Markdown: python experiments/image_translation/table.py"""

import pathlib

from mmgen_jax.results.tables import table

TITLE = "Translation of pictures"
ABOUT = """
Clothing at 64 px, from its grey picture and from its edges: mean absolute error of values in [0, 1], PSNR in dB, and
distances in features of a classifier of clothing, on the 372 test photos. *mean example* is the mean training photo,
*nearest condition* the photo of the training example whose source is nearest.
"""
COLUMNS = {
    "absolute error ↓": "test/error/l1",
    "PSNR, dB ↑": "test/error/psnr",
    "SSIM ↑": "test/error/ssim",
    "Fréchet distance ↓": "test/frechet/frechet_distance",
    "kernel distance ↓": "test/frechet/kernel_distance",
    "training, processor s": "processor_seconds",
}


def tables() -> str:
    return table(pathlib.Path(__file__).parent, COLUMNS)


if __name__ == "__main__":
    print(tables())
