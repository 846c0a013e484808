"""Draws samples.png, the same names by every family: python experiments/text_to_image_emoji/sheet.py WORKDIR

The first five names are of test glyphs, the others of training glyphs.
"""

import pathlib
import sys

import PIL.Image

from mmgen_jax import sheets

PROMPTS = (
    "green square",
    "full moon face",
    "woman firefighter",
    "woman rowing boat",
    "chart increasing",
    "red apple",
    "sunflower",
    "birthday cake",
)

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(__file__).parent
    runs = sheets.first_runs(folder / "sweep.py", sys.argv[1])
    sheet = sheets.prompt_sheet(runs, PROMPTS, num=4)
    sheet.quantize(256, dither=PIL.Image.Dither.NONE).save(folder / "samples.png", optimize=True)
