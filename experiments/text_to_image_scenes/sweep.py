"""Scenes drawn from captions by four families."""

SEEDS = (0, 1, 2)
FAMILIES = {
    "conditional VAE": "vae",
    "VQ-VAE and transformer": "autoregressive",
    "flow matching": "diffusion",
    "conditional GAN": "gan",
}


def cells():
    return [
        {"label": label, "config": f"configs/text_to_image_{family}.py:scenes", "seeds": SEEDS}
        for label, family in FAMILIES.items()
    ]
