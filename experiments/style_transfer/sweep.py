"""Style transfer: what the style loss of the generator compares; and the optimisation of each picture by itself."""

LOSSES = {"Gram matrices": {}, "means and standard deviations": {"objective.style_loss": "moments"}}


def cells():
    for loss, overrides in LOSSES.items():
        yield {
            "label": loss,
            "config": "configs/style_transfer.py",
            "overrides": overrides,
            "seeds": (0, 1, 2),
        }
    yield {
        "label": "optimisation of the pixels, 200 steps",
        "samples_of": "Gram matrices",
        "overrides": {"objective.optimisation_steps": 200},
    }
