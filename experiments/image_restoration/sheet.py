"""Draws samples.png, degraded, restored and true photos: python experiments/image_restoration/sheet.py WORKDIR

Six test examples, the first in the order in which all models are measured, and the two on which the first model is
farthest from the truth.
"""

import pathlib
import sys

from mmgen_jax.results import sheets

SHEETS = {
    "×2": ("×2",),
    "×4": ("×4", "×4, adversarial"),
    "noise": ("noise of 25 levels",),
    "blur": ("blur of 1.5 px",),
    "glyphs": ("glyphs, 32 to 128 px",),
}


def sheet(workdir):
    runs = sheets.first_runs(pathlib.Path(__file__).with_name("sweep.py"), workdir)
    parts = {}
    for heading, labels in SHEETS.items():
        if found := {label: (runs[label], {}) for label in labels if label in runs}:
            parts[heading] = sheets.example_sheet(found, ("photo",), "image")
    return sheets.stack(parts, beside=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sheets.save(sheet(sys.argv[1]), pathlib.Path(__file__).parent)
