"""A sharp picture from a clip: by the error alone, and with a discriminator."""

TASKS = {
    "digits": "digits",
    "digits, adversarial": "digits,adversarial",
    "grid_s1": "grid_s1",
    "grid_s1, adversarial": "grid_s1,adversarial",
}


def cells():
    for label, argument in TASKS.items():
        yield {"label": label, "config": f"configs/video_to_image.py:{argument}", "seeds": (0, 1, 2)}
