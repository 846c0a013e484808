"""Digits: every modality from every subset of the other three, by every family; one model draws one modality."""

KINDS = ("text", "image", "audio", "video")
FAMILIES = ("diffusion", "autoregressive", "variational", "adversarial")
SEEDS = (0,)


def cells():
    for family in FAMILIES:
        for target in KINDS:
            if target != "text" or family == "autoregressive":  # its texts stand beside every family
                yield cell(target, family)


def cell(target, family):
    conditions = "+".join(kind for kind in KINDS if kind != target)
    return {
        "label": f"{target}, {family}",
        "config": f"configs/any_to_any.py:digits,target={target},family={family},conditions={conditions}",
        "seeds": SEEDS,
    }
