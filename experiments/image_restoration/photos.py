"""Restoration of photos of a camera, from scikit-image: python experiments/image_restoration/photos.py WORKDIR

WORKDIR is the workdir of the sweep; `--append` stores lines. Each photo is cut to sides that are multiples of 4,
degraded as in training, rounded to a file of 8 bits, and restored by the model at its own size. PSNR is of RGB in dB,
without a border left out. Beside the model: bicubic enlargement, non-local means (noise), Richardson-Lucy
deconvolution (blur).
"""

import argparse
import pathlib
import tempfile
import time

import numpy as np
import PIL.Image
from skimage import data

from mmgen_jax import api
from mmgen_jax.data import derived
from mmgen_jax.data.transforms import downsample
from mmgen_jax.evaluators.measures import fidelity, restoration
from mmgen_jax.results import cells, lines, sheets

FOLDER = pathlib.Path(__file__).parent
FILE = "photos.jsonl"
PHOTOS = ("chelsea", "coffee", "astronaut")
METHODS = {
    "×2": ("bicubic", lambda photo, size: downsample.bicubic(photo, size)),
    "×4": ("bicubic", lambda photo, size: downsample.bicubic(photo, size)),
    "noise of 25 levels": (
        "non-local means",
        lambda photo, size: of_unit(restoration.non_local_means, photo, 25 / 255),
    ),
    "blur of 1.5 px": ("Richardson-Lucy", lambda photo, size: of_unit(restoration.richardson_lucy, photo, 1.5)),
}


def of_unit(method, photo, sigma):
    """A method on pictures in [0, 1], for one photo `[H, W, 3]` in [-1, 1]."""
    return 2 * method(fidelity.unit(photo[None]), sigma)[0] - 1


def degraded(config, truth):
    """The photo `[H, W, 3]` in [-1, 1] that a config derives from a picture, rounded to 8 bits."""
    values = {"image": truth}
    for name, entry in derived.build(config.derived).items():
        values[name] = entry.transform(*(values[of] for of in entry.of), rng=np.random.default_rng(0))
    return np.round((np.clip(values["photo"], -1, 1) + 1) * 127.5) / 127.5 - 1


def decibels(picture, truth):
    """PSNR of pictures `[H, W, 3]` in [-1, 1]."""
    return round(float(fidelity.measure(np.clip(picture, -1, 1)[None], truth[None])["psnr"][0]), 3)


def measured(run, config, method):
    """`{photo: {"model", "method", "degraded": PSNR}}` of one model; `degraded` only for photos of the full size."""
    found = {}
    for name in PHOTOS:
        photo = getattr(data, name)()
        height, width = (side // 4 * 4 for side in photo.shape[:2])
        truth = np.float32(photo[:height, :width]) / 127.5 - 1
        small = np.float32(degraded(config, truth))
        with tempfile.TemporaryDirectory() as folder:
            PIL.Image.fromarray(np.uint8(np.round((small + 1) * 127.5))).save(file := pathlib.Path(folder, "photo.png"))
            drawn = api.sample(run, given={"photo": str(file)}, num=1)["image"][0]
        found[f"{name}, {height} × {width}"] = {
            "model": decibels(drawn, truth),
            "method": decibels(method(small, truth.shape[:2]), truth),
            **({"degraded": decibels(small, truth)} if small.shape == truth.shape else {}),
        }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("workdir")
    parser.add_argument("--append", action="store_true", help=f"append to {FILE}")
    arguments = parser.parse_args()
    runs = sheets.first_runs(FOLDER / "sweep.py", arguments.workdir)
    by_label = {cell.label: cell for cell in cells.load(FOLDER / "sweep.py") if cell.seed == 0}
    for label, (method, restore) in METHODS.items():
        if label not in runs:
            continue
        began, cell = time.monotonic(), by_label[label]
        run = api.load(runs[label])
        metrics = measured(run, cell.config, restore)
        print(label, metrics, flush=True)
        if arguments.append:
            line = {"experiment": "image_restoration/photos", "config": cell.reference, "label": label, "overrides": {}}
            line |= {"seed": run.seed, "commit": lines.commit(), "hardware": lines.hardware(), "method": method}
            line |= {"seconds": round(time.monotonic() - began, 1), "metrics": metrics}
            lines.append(FOLDER / FILE, line)


if __name__ == "__main__":
    main()
