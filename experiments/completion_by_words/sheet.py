"""Draws samples.png, photos with holes, completed and true: python experiments/completion_by_words/sheet.py WORKDIR

Six test examples, the first in the order in which all models are measured, and the two on which the model with the text
is farthest from the truth.
"""

import pathlib
import sys

from mmgen_jax.results import sheets

MODELS = ("with the text", "without")


def sheet(workdir):
    runs = sheets.first_runs(pathlib.Path(__file__).with_name("sweep.py"), workdir)
    return sheets.example_sheet({name: (runs[name], {}) for name in MODELS if name in runs}, ("photo",), "image")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sheets.save(sheet(sys.argv[1]), pathlib.Path(__file__).parent)
