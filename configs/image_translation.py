"""Pictures from aligned pictures (pix2pix, Isola et al., 2017): clothing from its edges, or in colour from grey.

    mmgen train --config=configs/image_translation.py --workdir=runs/colour
    mmgen sample --workdir=runs/colour --given.grey=photo.jpg --out=out      # of any size; the same size comes out

Argument: `colour` (grey to colour, the default) or `edges` (edges to photo), then `,l1` for the U-Net that is trained
by the absolute error alone, the baseline of the paper; `large` or `<argument>_large`: sized for one accelerator.

The generator is the U-Net `translation`, the discriminator sees patches of 34 px. Noise enters as in the paper, by
dropout, and only in training; samples are without noise.

Expected on the 372 test photos, mean over three seeds, one CPU core; the absolute error is of values in [0, 1], the
Fréchet distance in features of a classifier of clothing.

    argument     absolute error    Fréchet distance    minutes
    colour       0.048             3.0                 13
    colour,l1    0.046             3.2                 5
    edges        0.136             8.7                 14
    edges,l1     0.129             15.2                6
"""

from mmgen_jax.config import presets, schema
from mmgen_jax.config.override import override

SOURCES = {"colour": {"grey": {"name": "grey", "of": "image"}}, "edges": {"edges": {"name": "edges", "of": "image"}}}
ARGUMENTS = ("colour", "edges", "colour,l1", "large")
L1 = 100.0  # weight of the absolute error beside the adversarial loss, as in the paper


def get_config(arg="colour"):
    arg = "colour_large" if arg == "large" else arg
    large, (task, _, loss) = arg.endswith("_large"), arg.removesuffix("_large").partition(",")
    presets.choose(task, SOURCES, "image_translation")
    adversarial = not presets.choose(loss, {"": False, "l1": True}, "image_translation")
    config = schema.base()
    config.data = presets.source("clothing", "image", image_size=64)
    config.derived = SOURCES[task]
    config.aligned = tuple(SOURCES[task])
    config.augment = {name: {"flip": 0.5} for name in ("image", *SOURCES[task])}
    config.generator = {"name": "translation", "width": 32, "max_width": 256}
    adam = {"lr": 5e-4, "b1": 0.5, "schedule": "cosine", "warmup_steps": 50}
    config.optimizers = {"generator": adam | {"ema_decay": 0.998}}
    if adversarial:
        config.objective = {"name": "adversarial", "target": "image", "latent_dim": 0, "l1": L1}
        config.objective.loss_type = "non_saturating"
        config.generator.dropout = 0.2
        config.discriminator = {"name": "patch", "width": 32, "num_stages": 2}
        config.optimizers.discriminator = adam | {"lr": 2e-4}
    else:
        config.objective = {"name": "regression", "target": "image", "error": "l1"}
    config.train.batch_size = 16
    config.train.steps = 3000
    config.evaluators = {
        "error": {"name": "reconstruction"},
        "frechet": {"name": "classifier_frechet", "label": "clothing"},
    }
    if large:
        size = {"train.steps": 100_000, "generator.width": 96, "generator.max_width": 768}
        size |= {"train.batch_size": 64, "dtype": "bfloat16"}
        size |= {"discriminator.width": 96, "discriminator.num_stages": 3} if adversarial else {}
        config = override(config, size)
    return config
