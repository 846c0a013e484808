"""Translation without pairs: digits of two sets, and grey and coloured photos."""


def cells():
    config = "configs/image_translation_unpaired.py"
    yield {"label": "digits", "config": f"{config}:digits", "seeds": (0, 1, 2)}
    yield {"label": "digits, labels in training", "config": f"{config}:digits_labelled", "seeds": (0, 1, 2)}
    yield {"label": "colour", "config": f"{config}:colour", "seeds": (0, 1, 2)}
