"""Restoration of pictures: denoising, deblurring, super-resolution.

    mmgen train --config=configs/image_restoration.py:x2 --workdir=runs/x2
    mmgen sample --workdir=runs/x2 --given.photo=photo.jpg --out=out         # of any size; twice the size comes out

Argument: the degradation of the photos, then `,adversarial` for a discriminator of patches beside the error:

    noise       white Gaussian noise of sigma 25 (of 255); the default
    blur        Gaussian blur of sigma 1.5 px, then noise of sigma 2
    x2, x4      half and a quarter of the size, bicubic with antialiasing
    emoji       glyphs of 32 px to 128 px

Expected on the 372 test photos of clothing, seed 0, one CPU core: PSNR of RGB in dB, the best method without training,
and minutes of processor time.

    argument    model    without training            minutes
    noise       30.1     28.6, non-local means       3.4
    blur        31.2     27.5, Richardson-Lucy       3.5
    x2          32.6     27.9, bicubic               3.5
    x4          26.6     23.2, bicubic               1.8

`x4,adversarial` and `emoji` are not measured.

`large` or `<argument>_large`: a network and a training for one accelerator, not measured.
"""

from mmgen_jax.config import presets, schema
from mmgen_jax.config.override import override

SMALL = {"name": "downsample", "of": "image"}
DERIVED = {
    "noise": {"photo": {"name": "noise", "of": "image", "sigma": 25.0}},
    "blur": {
        "blurred": {"name": "blur", "of": "image", "sigma": 1.5},
        "photo": {"name": "noise", "of": "blurred", "sigma": 2.0},
    },
    "x2": {"photo": SMALL | {"factor": 2}},
    "x4": {"photo": SMALL | {"factor": 4}},
    "emoji": {"photo": SMALL | {"factor": 4}},
}
ARGUMENTS = ("noise", "blur", "x2", "x4", "emoji", "x4,adversarial", "large")
STEPS = {"noise": 5000, "blur": 5000, "x2": 5000, "x4": 8000, "emoji": 3000}


def get_config(arg="noise"):
    arg = "noise_large" if arg == "large" else arg
    large, (task, _, adversarial) = arg.endswith("_large"), arg.removesuffix("_large").partition(",")
    presets.choose(task, DERIVED, "image_restoration")
    adversarial = presets.choose(adversarial, {"": False, "adversarial": True}, "image_restoration")
    config = schema.base()
    emoji, same_grid = task == "emoji", task in ("noise", "blur")
    config.data = presets.source("emoji" if emoji else "clothing", "image", image_size=128 if emoji else 64)
    config.derived = DERIVED[task]
    config.aligned = ("photo",)
    if not emoji:
        config.augment = {name: {"flip": 0.5} for name in ("image", *DERIVED[task])}
    config.objective = {"name": "regression", "target": "image", "error": "psnr", "output": "linear"}
    config.generator = {"name": "subpixel", "width": 32, "num_blocks": 4, "fold": 2 if same_grid else 1}
    config.optimizers = {
        "generator": {
            "lr": 1e-3,
            "schedule": "cosine",
            "warmup_steps": 100,
            "clip_norm": 1.0,
            "ema_decay": 0.998,
        }
    }
    config.train.batch_size = 8
    config.train.steps = STEPS[task]
    degraded = {"noise": {"noise": 25.0}, "blur": {"noise": 2.0, "blur": 1.5}}.get(task, {})
    config.evaluators = {"error": {"name": "restoration", **degraded}}
    if not emoji:
        config.evaluators.frechet = {"name": "classifier_frechet", "label": "clothing"}
    if adversarial:
        del config.objective["error"]
        config.objective.update({"name": "adversarial", "latent_dim": 0, "l1": 100.0, "loss_type": "hinge"})
        config.discriminator = {"name": "patch", "width": 32, "num_stages": 2, "spectral_norm": True, "norm": "none"}
        config.optimizers.generator.b1 = 0.5
        config.optimizers.discriminator = {"lr": 5e-4, "b1": 0.5}
    if large:
        size = {"dtype": "bfloat16", "train.batch_size": 64, "train.steps": 100_000}
        config = override(config, size | {"generator.width": 128, "generator.num_blocks": 16})
    return config
