"""Draws samples.png, pictures with holes, completed and true: python experiments/inpainting/sheet.py WORKDIR

Six test examples, the first in the order in which all models are measured, and the two on which the first model is
farthest from the truth.
"""

import pathlib
import sys

from mmgen_jax.results import sheets

MODELS = {"clothing": ("PSNR", "adversarial"), "digits": ("PSNR", "diffusion")}


def sheet(workdir):
    runs = sheets.first_runs(pathlib.Path(__file__).with_name("sweep.py"), workdir)
    parts = {}
    for data, models in MODELS.items():
        if found := {name: (runs[f"{data}: {name}"], {}) for name in models if f"{data}: {name}" in runs}:
            parts[data] = sheets.example_sheet(found, ("photo",), "image")
    return sheets.stack(parts, beside=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sheets.save(sheet(sys.argv[1]), pathlib.Path(__file__).parent)
