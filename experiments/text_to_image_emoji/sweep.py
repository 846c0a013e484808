"""Emoji drawn from their names by four families."""

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
            "label": "training images, whatever the name",
            "config": "configs/text_to_image_gan.py:emoji",
            "baseline": "training_examples",
            "seeds": SEEDS,
        },
        {
            "label": "training image of the nearest name",
            "config": "configs/text_to_image_gan.py:emoji",
            "baseline": "nearest_text",
            "seeds": SEEDS,
        },
        *(
            {"label": label, "config": f"configs/text_to_image_{family}.py:emoji", "seeds": SEEDS}
            for label, family in FAMILIES.items()
        ),
        {
            "label": "conditional GAN, word-region discriminator",
            "config": "configs/text_to_image_gan.py:emoji",
            "overrides": {"discriminator.name": "word_region"},
            "seeds": SEEDS,
        },
        *(
            {"label": f"{label}, guidance {scale}", "samples_of": label, "overrides": {"objective.guidance": scale}}
            for label, scale in (("VQ-VAE and transformer", 2.0), ("flow matching", 1.0))
        ),
    ]
