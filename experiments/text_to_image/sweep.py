"""Digits drawn from captions by four families, and the baseline of random training images."""

SEEDS = (0, 1, 2)
FAMILIES = {
    "conditional GAN": "gan",
    "conditional VAE": "vae",
    "VQ-VAE and transformer": "autoregressive",
    "flow matching": "diffusion",
}


def cells():
    return [
        {
            "label": "training images, whatever the caption",
            "config": "configs/text_to_image_gan.py:digits",
            "baseline": "training_examples",
            "seeds": SEEDS,
        },
        *(
            {"label": label, "config": f"configs/text_to_image_{family}.py:digits", "seeds": SEEDS}
            for label, family in FAMILIES.items()
        ),
    ]
