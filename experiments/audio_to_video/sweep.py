"""Clips from sounds, by a conditional VAE; beside them real training clips."""

SEEDS = (0, 1, 2)
CONFIG = "configs/audio_to_video_vae.py"


def cells():
    yield {"label": "digits", "config": f"{CONFIG}:digits", "seeds": SEEDS}
    for baseline in ("class_matched", "training_examples", "mean_example"):
        label = f"digits: {baseline.replace('_', ' ')}"
        yield {"label": label, "config": f"{CONFIG}:digits", "baseline": baseline, "seeds": (0,)}
    yield {"label": "scenes", "config": f"{CONFIG}:scenes", "seeds": SEEDS}
    yield {"label": "grid_s1: mean example", "config": f"{CONFIG}:grid_s1", "baseline": "mean_example", "seeds": (0,)}
    yield {"label": "grid_s1", "config": f"{CONFIG}:grid_s1", "seeds": SEEDS}
