"""Style transfer: what the generator's style loss compares."""

LOSSES = {"Gram matrices": {}, "means and standard deviations": {"objective.style_loss": "moments"}}


def cells():
    for loss, overrides in LOSSES.items():
        yield {
            "label": loss,
            "config": "configs/style_transfer.py",
            "overrides": overrides,
            "seeds": (0,),
        }
