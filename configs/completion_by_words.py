"""Completion of garments with words: a large hole, and a text that says which garment is there.

    mmgen train --config=configs/completion_by_words.py --workdir=runs/words
    mmgen sample --workdir=runs/words --given.photo=p.jpg --given.mask=m.png --text="a photo of a dress" --out=out

Argument: `words` (the default) or `none`, the same model without the text, which is the baseline; `large` or
`<argument>_large`: sized for one accelerator. As `inpainting.py:clothing,adversarial`, with one more condition: an
encoder of texts, whose vector scales and shifts every gated convolution and projects onto the discriminator's patches.
The captions of the data name the kind of garment and nothing else (no colours), so the model learns no other words.
Not measured.
"""

from mmgen_jax.config import presets, schema
from mmgen_jax.config.override import override

ARGUMENTS = ("words", "large")


def get_config(arg="words"):
    arg, large = presets.sized(arg, ("words", "none"), "completion_by_words")
    config = schema.base()
    words = arg == "words"
    config.data = presets.source("clothing", *(("text",) if words else ()), "image", image_size=64)
    box = {"name": "mask", "of": "image", "shape": "box", "sides": (0.6, 0.9)}
    config.derived = {"mask": box, "photo": {"name": "hole", "of": ("image", "mask")}}
    config.aligned = ("photo", "mask")
    if words:
        config.encoders = {"text": {"name": "text.embedding", "features": 64}}
        config.fusion = {"name": "concat", "features": 64}
    config.augment = {name: {"flip": 0.5} for name in ("image", "photo", "mask")}
    config.objective = {"name": "adversarial", "target": "image", "hole": "mask", "known": "photo"}
    config.objective.update({"latent_dim": 0, "l1": 30.0, "loss_type": "hinge"})
    config.generator = {"name": "gated", "width": 16, "max_width": 96, "num_halvings": 4}
    config.discriminator = {"name": "patch", "width": 32, "num_stages": 3, "spectral_norm": True, "norm": "none"}
    config.optimizers = {
        "discriminator": {"lr": 5e-4, "b1": 0.5},
        "generator": {"lr": 5e-4, "b1": 0.5, "clip_norm": 1.0, "ema_decay": 0.998},
    }
    config.train.batch_size = 8
    config.train.steps = 6000
    config.evaluators = {
        "accuracy": {"name": "classifier_accuracy", "label": "clothing"},
        "error": {"name": "reconstruction"},
        "frechet": {"name": "classifier_frechet", "label": "clothing"},
    }
    if large:
        size = {"dtype": "bfloat16", "train.batch_size": 64, "train.steps": 200_000}
        config = override(config, size | {"generator.width": 64, "generator.max_width": 512})
    return config
