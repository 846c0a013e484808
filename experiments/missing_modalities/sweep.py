"""Training with missing views: incomplete examples kept or discarded, by rate, mechanism and method."""


def cells():
    base = "configs/multimodal_vae.py:polymnist,method=mvtcae"
    yield {"label": "complete", "config": base, "seeds": (0, 1, 2)}
    for rate in (0.2, 0.5):
        for mechanism, flag in (("at random", ""), ("by class", ",not_at_random")):
            for what, choice in (("kept", ""), ("discarded", ",discard")):
                config = f"{base},missing={rate}{choice}{flag}"
                yield {"label": f"{rate:.0%} missing {mechanism}, {what}", "config": config, "seeds": (0, 1, 2)}
    # The views that are there stand for the others; beside discarding, also where complete examples are few.
    config, rescaled = f"{base},missing=0.5", {"objective.rescaled": True}
    yield {
        "label": "50% missing at random, kept, rescaled",
        "config": config,
        "overrides": rescaled,
        "seeds": (0, 1, 2),
    }
    few = {"data.fraction": 0.1, "train.steps_per_call": 1}  # 170 examples are complete, a call of 10 steps reads 1,280
    for what, choice, more in (("kept, rescaled", "", rescaled), ("discarded", ",discard", {})):
        label = f"a tenth of the data, 50% missing at random, {what}"
        yield {"label": label, "config": f"{config}{choice}", "overrides": few | more, "seeds": (0, 1, 2)}
    label = "a tenth of the data, 50% missing at random, kept"
    yield {"label": label, "config": config, "overrides": few, "seeds": (0, 1, 2)}
    # Other methods: each view's own posterior is trained to draw all views.
    for name, method in (("MoPoE", "mopoe"), ("MMVAE+", "mmvae_plus")):
        for what, choice in (("kept", ""), ("discarded", ",discard")):
            config = f"configs/multimodal_vae.py:polymnist,method={method},missing=0.5{choice}"
            yield {"label": f"{name}, 50% missing at random, {what}", "config": config, "seeds": (0, 1, 2)}
