"""Sentences of GRID and spoken digits: Tacotron with and without guided attention, and flow matching."""

SEEDS = (0, 1, 2)
SETS = {"GRID": "grid_s1", "spoken digits": "spoken_digits"}


def cells():
    for label, argument in SETS.items():
        config = f"configs/text_to_speech.py:{argument}"
        yield {"label": f"{label}, Tacotron", "config": config, "seeds": SEEDS}
        yield {
            "label": f"{label}, without guided attention",
            "config": config,
            "overrides": {"objective.guided_attention": 0.0},
            "seeds": SEEDS,
        }
    for label, argument in SETS.items():
        yield {
            "label": f"{label}, flow matching",
            "config": f"configs/text_to_speech.py:{argument}_flow",
            "seeds": SEEDS,
        }
