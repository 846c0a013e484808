"""Draws samples.png, the same captions by every family: python experiments/text_to_image_scenes/sheet.py WORKDIR"""

import sys

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
    sheets.write(__file__, sys.argv[1], PROMPTS)
