"""Words for sounds: names of recordings, descriptions of scenes, words of hymns; unigrams and the nearest sound."""

SEEDS = (0, 1, 2)
CONFIGS = {
    "sounds": "configs/audio_captioning.py:sounds",
    "scenes": "configs/audio_captioning.py:scenes",
    "hymns": "configs/audio_to_lyrics.py:hymnal",
}


SHAKESPEARE = "Shakespeare, transformer"


def cells():
    for label, config in CONFIGS.items():
        yield {
            "label": f"{label}, LSTM" if label != "hymns" else "hymns, transformer",
            "config": config,
            "seeds": SEEDS,
        }
        without = {"evaluators.likelihood": None}  # a baseline has no likelihood; the entry has that of a unigram model
        yield {
            "label": f"{label}, unigram",
            "config": config,
            "overrides": without,
            "baseline": "unigram",
            "seeds": (0,),
        }
        yield {
            "label": f"{label}, nearest sound",
            "config": config,
            "overrides": without,
            "baseline": "nearest_condition",
            "seeds": (0,),
        }
    yield {"label": SHAKESPEARE, "config": "configs/audio_to_lyrics.py:shakespeare", "seeds": SEEDS}
    yield {
        "label": "hymns, transformer that begins with Shakespeare",
        "config": CONFIGS["hymns"],
        "overrides": {"generator.init_from": f"cell:{SHAKESPEARE}"},
        "seeds": SEEDS,
    }
