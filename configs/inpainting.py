"""Completion of pictures in boxes and free-form strokes: in one pass, adversarial, or by diffusion.

    mmgen train --config=configs/inpainting.py --workdir=runs/fill
    mmgen sample --workdir=runs/fill --given.photo=photo.jpg --given.mask=mask.png --out=out

The photo may have any size, the mask has the size of the photo; white is the hole. Outside of the hole the output is
the photo, bit for bit.

Argument: `clothing` (the default) or `digits`, then the family:

    regression     gated convolutions, trained by the PSNR in the hole (the default)
    adversarial    the same network against a discriminator of patches, which sees photo and mask as well
    diffusion      an unconditional model of whole pictures; in sampling, the known pixels follow their own path

as in `clothing,adversarial`; `large` or `<argument>_large`: 64 px, sized for one accelerator.

Expected for `clothing`, seed 0, 28 minutes on one CPU core: PSNR in the hole of 24.0, 23.0 and 20.8 dB for squares of
16, 24 and 32 px, and 22.0 dB for strokes (biharmonic completion: 22.6, 21.0, 17.8 and 21.0). The others: not measured.
"""

from mmgen_jax.config import presets, schema
from mmgen_jax.config.override import override

FAMILIES = ("regression", "adversarial", "diffusion")
DATA = {"clothing": {"image_size": 64}, "digits": {}}
ARGUMENTS = ("clothing", "clothing,adversarial", "digits,diffusion", "large")


def get_config(arg="clothing,regression"):
    if arg == "large":
        arg = "clothing_large"
    data, _, family = arg.removesuffix("_large").partition(",")
    large, family = arg.endswith("_large"), family or "regression"
    presets.choose(data, DATA, "inpainting")
    presets.choose(family, dict.fromkeys(FAMILIES), "inpainting")
    config = schema.base()
    config.data = presets.source(data, "image", **DATA[data])
    config.derived = {"mask": {"name": "mask", "of": "image"}, "photo": {"name": "hole", "of": ("image", "mask")}}
    config.objective = {"target": "image", "hole": "mask", "known": "photo"}
    config.train.batch_size = 8
    if data == "clothing":
        config.augment = {name: {"flip": 0.5} for name in ("image", "photo", "mask")}
    {"regression": regression, "adversarial": adversarial, "diffusion": diffusion}[family](config, data)
    config.evaluators = {"completion": {"name": "completion"}}
    if data == "clothing":
        config.evaluators.frechet = {"name": "classifier_frechet", "label": "clothing"}
    else:
        config.evaluators.completion.label = "digit"
    if large:
        size = {"dtype": "bfloat16", "train.batch_size": 64, "train.steps": 200_000, "data.image_size": 64}
        size |= {"data.image_fit": "resize"} if data == "digits" else {}
        wide = {"generator.width": 64, "generator.max_width": 512}
        config = override(config, size | ({"generator.channels": (128, 256)} if family == "diffusion" else wide))
    return config


def regression(config, data):
    config.aligned = ("photo", "mask")
    config.objective.update({"name": "regression", "error": "psnr"})
    small = data == "digits"
    config.generator = {"name": "gated", "width": 24, "max_width": 128, "num_halvings": 2 if small else 4}
    config.optimizers = {
        "generator": {
            "lr": 1e-3,
            "schedule": "cosine",
            "warmup_steps": 100,
            "clip_norm": 1.0,
            "ema_decay": 0.998,
        }
    }
    config.train.steps = 3000 if small else 5000


def adversarial(config, data):
    regression(config, data)
    del config.objective["error"]
    config.objective.update({"name": "adversarial", "latent_dim": 0, "l1": 100.0, "loss_type": "hinge"})
    config.discriminator = {"name": "patch", "width": 32, "num_stages": 2, "spectral_norm": True, "norm": "none"}
    config.optimizers.generator.update({"lr": 5e-4, "b1": 0.5})
    config.optimizers.discriminator = {"lr": 5e-4, "b1": 0.5}
    config.train.steps = config.train.steps // 2


def diffusion(config, data):
    config.objective.update({"name": "diffusion", "sampling_steps": 25, "resamples": 4})
    config.generator = {"name": "unet", "channels": (32, 64)}
    config.optimizers = {
        "generator": {
            "lr": 1e-3,
            "schedule": "cosine",
            "warmup_steps": 200,
            "clip_norm": 1.0,
            "ema_decay": 0.998,
        }
    }
    config.train.batch_size = 32
    config.train.steps = 6000
