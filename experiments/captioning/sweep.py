"""Captions of scenes and of emoji, by likelihood and by an adversary."""

SEEDS = (0, 1, 2)
CONFIGS = {
    "scenes, LSTM with attention": "configs/image_captioning.py:scenes",
    "scenes, transformer": "configs/image_captioning.py:scenes_transformer",
    "scenes, adversarial": "configs/image_to_text_gan.py:scenes",
    "emoji, LSTM with attention": "configs/image_captioning.py:emoji",
    "scenes, ViT and transformer": "configs/image_captioning.py:scenes_vit",
    "digits, LSTM with attention": "configs/image_captioning.py:digits",
    "emoji, adversarial": "configs/image_to_text_gan.py:emoji",
}


def cells():
    return [{"label": label, "config": config, "seeds": SEEDS} for label, config in CONFIGS.items()]
