"""Draws samples.png, the same names by every family: python experiments/text_to_image_emoji/sheet.py WORKDIR

The first five names are of test glyphs, the others of training glyphs.
"""

import sys

from mmgen_jax.results import sheets

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
    sheets.write(__file__, sys.argv[1], PROMPTS, num=4)
