"""Super-resolution of photos of a camera, from scikit-image: python experiments/image_restoration/photos.py WORKDIR

WORKDIR is that of the sweep. Each photo is cut to sides that are multiples of 4, reduced by Pillow's bicubic to a file
of 8 bits, and enlarged by the model, at its own size. PSNR is of RGB in dB, without a border left out.
"""

import pathlib
import sys
import tempfile

import numpy as np
import PIL.Image
from skimage import data

from mmgen_jax import api
from mmgen_jax.evaluators.measures import fidelity
from mmgen_jax.results import sheets

PHOTOS = ("chelsea", "coffee", "astronaut")
FACTORS = {"×2": 2, "×4": 4}


def decibels(picture, truth):
    """PSNR of pictures `[H, W, 3]` in [-1, 1]."""
    return float(fidelity.measure(picture[None], truth[None])["psnr"][0])


def rows(workdir):
    runs = sheets.first_runs(pathlib.Path(__file__).with_name("sweep.py"), workdir)
    for label in [label for label in FACTORS if label in runs]:
        run, factor = api.load(runs[label]), FACTORS[label]
        for name in PHOTOS:
            photo = getattr(data, name)()
            height, width = (side // 4 * 4 for side in photo.shape[:2])
            truth = photo[:height, :width]
            small = PIL.Image.fromarray(truth).resize((width // factor, height // factor), PIL.Image.Resampling.BICUBIC)
            with tempfile.TemporaryDirectory() as folder:
                small.save(file := pathlib.Path(folder, "photo.png"))
                drawn = api.sample(run, given={"photo": str(file)}, num=1)["image"][0]
            bicubic = np.asarray(small.resize((width, height), PIL.Image.Resampling.BICUBIC))
            of_truth, of_bicubic = (np.float32(x) / 127.5 - 1 for x in (truth, bicubic))
            yield label, name, decibels(drawn, of_truth), decibels(of_bicubic, of_truth)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print("|  | photo | model | bicubic |\n| --- | --- | ---: | ---: |")
    for label, name, model, bicubic in rows(sys.argv[1]):
        print(f"| {label} | {name} | {model:.2f} | {bicubic:.2f} |")
