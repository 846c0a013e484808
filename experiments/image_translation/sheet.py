"""Draws samples.png, photos from grey pictures and from edges: python experiments/image_translation/sheet.py WORKDIR

Six test examples, the first in the order in which all models are measured, and the two on which the first model is
farthest from the truth.
"""

import pathlib
import sys

from mmgen_jax.results import sheets

SOURCES = {"colour": "grey", "edges": "edges"}
MODELS = ("absolute error", "pix2pix")


def sheet(workdir):
    runs = sheets.first_runs(pathlib.Path(__file__).with_name("sweep.py"), workdir)
    parts = {}
    for task, source in SOURCES.items():
        if found := {name: (runs[f"{task}: {name}"], {}) for name in MODELS if f"{task}: {name}" in runs}:
            parts[task] = sheets.example_sheet(found, (source,), "image")
    return sheets.stack(parts, beside=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sheets.save(sheet(sys.argv[1]), pathlib.Path(__file__).parent)
