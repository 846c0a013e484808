"""Scenes drawn by four families on equal terms: from text, then from text and sound under two fusions."""

SEEDS = (0, 1, 2)
FAMILIES = {"gan": "GAN", "vae": "VAE", "autoregressive": "autoregressive", "diffusion": "diffusion"}
FUSIONS = ("concat", "cross_attention")


def cells():
    for family, name in FAMILIES.items():
        yield {"label": name, "config": f"configs/text_to_image_families.py:{family}", "seeds": SEEDS}
    for fusion in FUSIONS:
        for family, name in FAMILIES.items():
            yield {
                "label": f"{name}, {fusion}",
                "config": f"configs/text_to_image_families.py:{family},{fusion}",
                "seeds": SEEDS,
            }
