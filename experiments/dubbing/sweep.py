"""The sound of silent clips of GRID's speaker 1, in one pass and against a discriminator, beside two baselines."""

CONFIG = "configs/video_to_audio.py"


def cells():
    for baseline in ("mean_code", "nearest_condition"):
        label = {"mean_code": "mean spectrogram", "nearest_condition": "sound of the nearest clip"}[baseline]
        yield {"label": label, "config": f"{CONFIG}:regression", "baseline": baseline, "seeds": (0,)}
    for way in ("regression", "adversarial"):
        yield {"label": way, "config": f"{CONFIG}:{way}", "seeds": (0, 1, 2)}
