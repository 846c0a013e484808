"""Captions of scenes at several temperatures: a captioner trained by likelihood, and one trained by an adversary."""

SEEDS = (0, 1, 2)
TRAINED_AT = 0.5  # the temperature that the configs name; training does not depend on it
TEMPERATURES = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
MODELS = {
    "likelihood": "configs/image_captioning.py:scenes",
    "adversarial": "configs/image_to_text_gan.py:scenes",
}
# Other ways to sample from a model: the captioner that the adversarial phase of the same run starts from.
BEFORE = {"adversarial": ("before the adversary", {"objective.strength": 0.0})}


def label(curve, temperature):
    return f"{curve}, temperature {temperature}"


def cells():
    for model, config in MODELS.items():
        yield {"label": label(model, TRAINED_AT), "config": config, "seeds": SEEDS}
    for model in MODELS:
        for curve, fields in filter(None, ((model, {}), BEFORE.get(model))):
            for temperature in TEMPERATURES:
                overrides = {"objective.temperature": temperature, **fields}
                if overrides != {"objective.temperature": TRAINED_AT}:
                    yield {
                        "label": label(curve, temperature),
                        "samples_of": label(model, TRAINED_AT),
                        "overrides": overrides,
                    }
