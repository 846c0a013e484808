"""Words of spoken digits and of GRID's sentences: CTC and attention, each greedy and by beam search."""

SEEDS = (0, 1, 2)
MODELS = {
    "spoken digits, CTC": "spoken_digits",
    "spoken digits, attention": "spoken_digits_attention",
    "GRID, CTC": "grid_s1",
    "GRID, attention": "grid_s1_attention",
}


def cells():
    for label, argument in MODELS.items():
        yield {"label": label, "config": f"configs/speech_recognition.py:{argument}", "seeds": SEEDS}
    for label in MODELS:
        yield {"label": f"{label}, beam of 8", "samples_of": label, "overrides": {"objective.beam_size": 8}}
