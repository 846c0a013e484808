"""The quickstart as its command trains it, and the baseline of random training pictures."""

SEEDS = (0, 1, 2)


def cells():
    quickstart = {"config": "configs/quickstart.py", "seeds": SEEDS}
    yield quickstart | {"label": "text and sound to image"}
    yield quickstart | {"label": "training images, whatever the caption", "baseline": "training_examples"}
