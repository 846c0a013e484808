"""Ways to sample digits from captions, measured on the validation split, to choose the settings of text_to_image."""

SEEDS = (0,)
# Of each model: its config, its evaluators, and what sampling may change.
MODELS = {
    "VQ-VAE and transformer": (
        "configs/text_to_image_autoregressive.py:digits",
        ("accuracy", "frechet", "tokenizer"),
        [
            {"objective.guidance": guidance, "objective.top_p": top_p}
            for top_p in (0.8, 0.9, 1.0)
            for guidance in (1.0, 1.5, 2.0, 3.0)
        ],
    ),
    "flow matching": (
        "configs/text_to_image_diffusion.py:digits",
        ("accuracy", "frechet"),
        [
            {"objective.guidance": guidance, "objective.sampling_steps": steps}
            for steps in (10, 25, 50)
            for guidance in (1.0, 1.5, 2.0, 3.0)
        ],
    ),
}
# What the configs name: the rows that train.
NOW = {
    "VQ-VAE and transformer": {"objective.guidance": 2.0, "objective.top_p": 0.9},
    "flow matching": {"objective.guidance": 2.0, "objective.sampling_steps": 25},
}


def label(model, fields):
    settings = ", ".join(f"{field.removeprefix('objective.')} {value}" for field, value in fields.items())
    return f"{model}, {settings}"


def cells():
    for model, (config, evaluators, ways) in MODELS.items():
        splits = {f"evaluators.{name}.splits": ("validation",) for name in evaluators}
        yield {"label": label(model, NOW[model]), "config": config, "overrides": splits, "seeds": SEEDS}
        for fields in ways:
            if fields != NOW[model]:
                yield {
                    "label": label(model, fields),
                    "samples_of": label(model, NOW[model]),
                    "overrides": fields,
                }
