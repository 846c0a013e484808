"""Training with missing views: incomplete examples kept or discarded, at two rates and by two mechanisms."""


def cells():
    base = "configs/multimodal_vae.py:polymnist,method=mvtcae"
    yield {"label": "complete", "config": base, "seeds": (0, 1, 2)}
    for rate in (0.2, 0.5):
        for mechanism, flag in (("at random", ""), ("by class", ",not_at_random")):
            for what, choice in (("kept", ""), ("discarded", ",discard")):
                config = f"{base},missing={rate}{choice}{flag}"
                yield {"label": f"{rate:.0%} missing {mechanism}, {what}", "config": config, "seeds": (0, 1, 2)}
