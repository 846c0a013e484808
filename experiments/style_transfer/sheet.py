"""Draws samples.png, photos in the style of other pictures: python experiments/style_transfer/sheet.py WORKDIR

The first ten test pairs of the order in which all models are measured.
"""

import pathlib
import sys

from mmgen_jax.results import sheets

MODELS = {
    "Gram": ("Gram matrices", {}),
    "moments": ("means and standard deviations", {}),
    "optimised": ("Gram matrices", {"objective.optimisation_steps": 200}),
}


def sheet(workdir):
    runs = sheets.first_runs(pathlib.Path(__file__).with_name("sweep.py"), workdir)
    found = {heading: (runs[label], changes) for heading, (label, changes) in MODELS.items() if label in runs}
    return sheets.example_sheet(found, ("photo", "style"), "image", num=10, worst=0, truth=False)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sheets.save(sheet(sys.argv[1]), pathlib.Path(__file__).parent)
