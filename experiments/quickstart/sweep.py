"""The quickstart as its command runs it, and pictures of the training split in its place."""

SEEDS = (0, 1, 2)


def cells():
    quickstart = {"config": "configs/quickstart.py", "seeds": SEEDS}
    yield quickstart | {"label": "text and sound to image"}
    yield quickstart | {"label": "training images, whatever the caption", "baseline": "training_examples"}
