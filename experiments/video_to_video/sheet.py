"""Draws samples.png, next frames of moving digits: python experiments/video_to_video/sheet.py WORKDIR

Six test clips, the first in the order in which all models are measured, and the two on which the first model is
farthest from the truth. Time goes from left to right; each clip is shown by four evenly spaced frames. No frame of the
face is drawn: it shows an identifiable person.
"""

import pathlib
import sys

from mmgen_jax.results import sheets

NETWORKS = ("ConvLSTM", "3-D U-Net", "diffusion")


def sheet(workdir):
    runs = sheets.first_runs(pathlib.Path(__file__).with_name("sweep.py"), workdir)
    found = {name: (runs[label], {}) for name in NETWORKS if (label := f"moving digits: {name}") in runs}
    return sheets.example_sheet(found, ("past",), "future")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sheets.save(sheet(sys.argv[1]), pathlib.Path(__file__).parent)
