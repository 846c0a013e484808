"""Draws samples.png, translated digits and photos: python experiments/image_translation_unpaired/sheet.py WORKDIR

Six test examples, the first in the order in which all models are measured, and of photos the two on which the first
model is farthest from the truth.
"""

import pathlib
import sys

from mmgen_jax.results import sheets

DIGITS = {"MNIST to scikit-learn's": ("mnist", "small"), "scikit-learn's to MNIST": ("small", "mnist")}


def sheet(workdir):
    runs = sheets.first_runs(pathlib.Path(__file__).with_name("sweep.py"), workdir)
    parts = {}
    labels = {"CycleGAN": "digits", "with labels": "digits, labels in training"}
    if found := {name: (runs[label], {}) for name, label in labels.items() if label in runs}:
        for heading, (source, target) in DIGITS.items():  # unpaired: there is no truth
            parts[heading] = sheets.example_sheet(found, (source,), target, num=10, worst=0, truth=False)
    if "colour" in runs:
        parts["colour"] = sheets.example_sheet({"CycleGAN": (runs["colour"], {})}, ("grey",), "image")
    return sheets.stack(parts, beside=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sheets.save(sheet(sys.argv[1]), pathlib.Path(__file__).parent)
