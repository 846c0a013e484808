"""Any modality from each other modality, by every family that applies: one cell for each source, target and family.

Cells are in order of interest: digits from text, digits from pictures and sounds, then the same on scenes.
"""

SEEDS = (0,)
FAMILIES = ("adversarial", "variational", "autoregressive", "diffusion")
OF_TEXTS = ("adversarial", "autoregressive")  # the other families model continuous values
GIVEN = ("text", "image", "audio")
TARGETS = ("image", "audio", "video", "text")


def cells():
    for data in ("digits", "scenes"):
        for given in GIVEN:
            for target in TARGETS:
                for family in OF_TEXTS if target == "text" else FAMILIES:
                    if given != target:
                        yield cell(data, given, target, family)


def cell(data, given, target, family):
    return {
        "label": f"{data}: {given} to {target}, {family}",
        "config": f"configs/any_to_any.py:{data},target={target},family={family},conditions={given}",
        "seeds": SEEDS,
    }
