"""Captions of scenes, digits and emoji: models trained by likelihood or by an adversary, sampled, greedy or by beam."""

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
GREEDY, BEAM = {"objective.temperature": 0.0}, {"objective.beam_size": 4}
DECODED = {
    "scenes, transformer": {"greedy": GREEDY, "beam of 4": BEAM},
    "scenes, adversarial": {"before the adversary": {"objective.strength": 0.0}},
    "emoji, LSTM with attention": {"greedy": GREEDY, "beam of 4": BEAM},
}


def cells():
    yield from ({"label": label, "config": config, "seeds": SEEDS} for label, config in CONFIGS.items())
    for label, ways in DECODED.items():
        for way, overrides in ways.items():
            yield {"label": f"{label}, {way}", "samples_of": label, "overrides": overrides}
