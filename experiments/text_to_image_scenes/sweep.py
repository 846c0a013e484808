"""Scenes drawn from captions by four families."""

SEEDS = (0, 1, 2)
CONFIGS = {
    "conditional VAE": "configs/text_to_image_vae.py:scenes",
    "VQ-VAE and transformer": "configs/text_to_image_autoregressive.py:scenes",
    "flow matching of latents": "configs/text_to_image_diffusion.py:scenes_latent",
    "conditional GAN": "configs/text_to_image_gan.py:scenes",
}


def cells():
    return [{"label": label, "config": config, "seeds": SEEDS} for label, config in CONFIGS.items()]
