"""Prints the table of results.jsonl in Markdown: python experiments/unconditional/table.py"""

import pathlib

from mmgen_jax import tables

COLUMNS = {
    "Fréchet distance ↓": "test/frechet/frechet_distance",
    "precision ↑": "test/frechet/precision",
    "recall ↑": "test/frechet/recall",
    "PSNR of reconstruction, dB ↑": "test/reconstruction/psnr",
    "ELBO, nats ↑": "test/likelihood/elbo",
    "MS-SSIM of pairs": "test/ms_ssim/ms_ssim",
    "sliced Wasserstein ↓": "test/swd/swd",
    "training, s": "seconds",
}

if __name__ == "__main__":
    print(tables.table(pathlib.Path(__file__).parent, COLUMNS))
