"""Draws samples.png with the same names for every family: python experiments/text_to_image_emoji/sheet.py WORKDIR

The first five names are of test glyphs, the others of glyphs that the models are trained on.
"""

import sys

from mmgen_jax.results import sheets

PROMPTS = (
    "green square",
    "full moon face",
    "monkey face",
    "open hands",
    "chart increasing",
    "woman firefighter",
    "hot dog",
    "crying face",
)

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sheets.write(__file__, sys.argv[1], PROMPTS, num=4)
