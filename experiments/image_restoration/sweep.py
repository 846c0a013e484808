"""Restoration of photos: each degradation, by the error alone; ×4 also with a discriminator; glyphs enlarged."""

TASKS = {
    "×2": "x2",
    "×4": "x4",
    "noise of 25 levels": "noise",
    "blur of 1.5 px": "blur",
    "×4, adversarial": "x4,adversarial",
    "glyphs, 32 to 128 px": "emoji",
}


def cells():
    for label, argument in TASKS.items():
        yield {"label": label, "config": f"configs/image_restoration.py:{argument}", "seeds": (0, 1, 2)}
