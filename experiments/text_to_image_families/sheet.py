"""Draws samples.png with the same prompts for every family: experiments/text_to_image_families/sheet.py WORKDIR"""

import sys

from mmgen_jax.results import sheets

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sheets.write(__file__, sys.argv[1], sheets.SCENES_PROMPTS, labels=("GAN", "VAE", "autoregressive", "diffusion"))
