"""Completion of clothing by gated convolutions, by the error alone and against a discriminator; digits by diffusion."""

MODELS = {
    "clothing: PSNR": "clothing",
    "clothing: adversarial": "clothing,adversarial",
    "digits: PSNR": "digits",
    "digits: diffusion": "digits,diffusion",
}


def cells():
    for label, argument in MODELS.items():
        yield {"label": label, "config": f"configs/inpainting.py:{argument}", "seeds": (0, 1, 2)}
