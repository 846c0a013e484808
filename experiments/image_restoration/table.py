"""Prints the tables of results.jsonl in Markdown: python experiments/image_restoration/table.py"""

import pathlib

from mmgen_jax.results.tables import with_baselines

TITLE = "Restoration of pictures"
ABOUT = """
The 372 test photos of `clothing` at 64 px, degraded and restored: PSNR in dB of the RGB values and SSIM, no border left
out, means over photos. Under each model stand the methods that need no training, on the same degraded photos; those
with settings were set on 60 of the test photos, which favours them.
"""
COLUMNS = {
    "PSNR, dB ↑": "test/error/psnr",
    "SSIM ↑": "test/error/ssim",
    "Fréchet distance ↓": "test/frechet/frechet_distance",
    "training, processor s": "processor_seconds",
}


def tables() -> str:
    return with_baselines(pathlib.Path(__file__).parent, COLUMNS)


if __name__ == "__main__":
    print(tables())
