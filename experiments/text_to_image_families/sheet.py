"""Draws samples.png, the same prompts by every family: python experiments/text_to_image_families/sheet.py WORKDIR"""

import pathlib
import sys

import PIL.Image

from mmgen_jax import sheets

PROMPTS = (
    "a small red circle",
    "a large blue star",
    "the big yellow ring",
    "a tiny red square",
    "a cross that is large and magenta",
    "a picture of a small cyan triangle",
    "a large blue circle",  # this and the next are pairs of shape and colour that training never shows
    "the small yellow cross",
)

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(__file__).parent
    runs = sheets.first_runs(folder / "sweep.py", sys.argv[1])
    text_alone = {label: workdir for label, workdir in runs.items() if "," not in label}
    sheet = sheets.prompt_sheet(text_alone, PROMPTS)
    sheet.quantize(256, dither=PIL.Image.Dither.NONE).save(folder / "samples.png", optimize=True)
