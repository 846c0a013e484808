"""Draws samples.png, the clip, the reference, what is drawn, and the truth: python experiments/vgan/sheet.py WORKDIR

Six test examples of digits, the first in the order in which all models are measured, and the two on which the model of
both inputs is farthest from the truth. Frames of grid_s1 show a person and are not drawn.
"""

import pathlib
import sys

from mmgen_jax.results import sheets

MODELS = ("clip and reference", "clip alone", "reference alone")


def sheet(workdir):
    runs = sheets.first_runs(pathlib.Path(__file__).with_name("sweep.py"), workdir)
    found = {name: (runs[f"digits: {name}"], {}) for name in MODELS if f"digits: {name}" in runs}
    return sheets.example_sheet(found, ("clip", "reference"), "drawn")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sheets.save(sheet(sys.argv[1]), pathlib.Path(__file__).parent)
