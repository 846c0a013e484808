"""Scenes drawn from captions by four families."""

SEEDS = (0, 1, 2)
CONFIGS = {
    "conditional VAE": "configs/text_to_image_vae.py:scenes",
    "VQ-VAE and transformer": "configs/text_to_image_autoregressive.py:scenes",
    "flow matching of latents": "configs/text_to_image_diffusion.py:scenes_latent",
    "conditional GAN": "configs/text_to_image_gan.py:scenes",
}


def cells():
    yield from ({"label": label, "config": config, "seeds": SEEDS} for label, config in CONFIGS.items())
    for label in ("VQ-VAE and transformer", "flow matching of latents"):
        yield {"label": f"{label}, without guidance", "samples_of": label, "overrides": {"objective.guidance": 1.0}}
