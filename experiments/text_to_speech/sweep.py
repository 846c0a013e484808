"""Sentences of GRID and spoken digits by Tacotron, with and without guided attention."""

SEEDS = (0, 1, 2)


def cells():
    for label, argument in {"GRID": "grid_s1", "spoken digits": "spoken_digits"}.items():
        config = f"configs/text_to_speech.py:{argument}"
        yield {"label": f"{label}, Tacotron", "config": config, "seeds": SEEDS}
        yield {
            "label": f"{label}, without guided attention",
            "config": config,
            "overrides": {"objective.guided_attention": 0.0},
            "seeds": SEEDS,
        }
