"""Completion of garments with and without the text that names the garment; beside them the photo with its hole."""

CONFIG = "configs/completion_by_words.py"


def cells():
    for label, argument in (("with the text", "words"), ("without", "none")):
        yield {"label": label, "config": f"{CONFIG}:{argument}", "seeds": (0, 1, 2)}
    yield {"label": "the photo with its hole", "config": f"{CONFIG}:none", "baseline": "source", "seeds": (0,)}
