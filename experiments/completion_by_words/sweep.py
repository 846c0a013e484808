"""Completion of garments with and without the text that names the garment."""


def cells():
    for label, argument in (("with the text", "words"), ("without", "none")):
        yield {"label": label, "config": f"configs/completion_by_words.py:{argument}", "seeds": (0, 1, 2)}
