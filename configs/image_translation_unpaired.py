"""Pictures from pictures without pairs (CycleGAN, Zhu et al., 2017): two kinds of digits, or grey and colour photos.

    mmgen train --config=configs/image_translation_unpaired.py --workdir=runs/cycle_digits
    mmgen train --config=configs/image_translation_unpaired.py:first=PATH,second=PATH --workdir=runs/my_cycle
    mmgen sample --workdir=runs/cycle_digits --given.mnist=digit.png --out=out    # the other way: --given.small

Argument: `digits` (MNIST and scikit-learn's digits, which are enlarged from 8 px; the default),
`digits_labelled` (classifiers of both sets, trained on the digits' labels, ask for the source's digit) or `colour`
(clothing: grey photos of one half of the training set, coloured photos of the other half); `large` or
`<argument>_large`: 64 px and the paper's widths, for one accelerator; not measured. `first=PATH,second=PATH`, alone or
behind `large,`, are two folders or .npz files of your own pictures, which are the modalities `first` and `second`: 64
px in colour, networks and steps as `colour`, with an identity loss; nothing is measured.

The generators are residual networks, the discriminators see patches of 34 px. `digits` has an identity loss: a
generator that is given a picture of its target set has to return the picture, so that ink stays ink and paper stays
paper. `colour` has no identity loss, since grey and coloured photos have different channels.

Expected for `digits`, seed 0, 13 minutes on one CPU core: all translations are taken for the other set; the digit is
kept in 0.72 (to scikit-learn's; 0.63 without translation) and 0.78 (to MNIST; 0.94 without translation). For
`digits_labelled`, 24 minutes: kept in 0.987 and 0.980, by judges that resemble the classifiers. `colour`, 21 minutes:
PSNR 19.3 dB and Fréchet distance 6.9, where pix2pix, which learns from pairs, has 25.0 and 3.0.
"""

from mmgen_jax.config import own_data, presets, schema
from mmgen_jax.config.override import override
from mmgen_jax.errors import ConfigError

ARGUMENTS = ("digits", "digits_labelled", "colour", "large")
OWN_DATA = ("first", "second")
STEPS = {"digits": 6000, "digits_labelled": 10_000, "colour": 2500, "own": 2500}
CLASSIFIER_STEPS = 3000

LARGE = {
    "dtype": "bfloat16",
    "train.batch_size": 64,
    "train.steps": 50_000,
    "optimizers.discriminator.hold_steps": 25_000,
    "optimizers.generator.hold_steps": 25_000,
    "generator.width": 64,
    "generator.num_blocks": 6,
    "discriminator.width": 64,
    "discriminator.num_stages": 3,
}
LARGE_DIGITS = {
    "data.sets.mnist.image_size": 64,
    "data.sets.mnist.image_fit": "resize",
    "data.sets.small.image_size": 64,
    "data.sets.small.border": 9,
}


def get_config(arg="digits", first="", second=""):
    task, large = presets.sized(arg, ARGUMENTS, "image_translation_unpaired")
    if first or second:
        if not (first and second) or arg not in ("digits", "large"):
            got = f"{arg},first={first},second={second}"
            raise ConfigError(f"configs/image_translation_unpaired.py: expected first=PATH,second=PATH, got {got}")
        task = "own"
    config = schema.base()
    config.generator = {"name": "resnet_translation", "width": 16, "num_blocks": 3}
    config.discriminator = {"name": "patch", "width": 24, "num_stages": 2}
    config.train.batch_size = 8
    config.train.steps = STEPS[task]
    # As in the paper, the learning rate is constant for half of the steps and falls to 0 in the other half.
    adam = {"lr": 3e-4, "b1": 0.5, "schedule": "linear", "hold_steps": config.train.steps // 2}
    config.optimizers = {"discriminator": adam, "generator": adam | {"ema_decay": 0.99}}
    if task == "own":
        fields = {"of": "image", "image_size": 64}
        sets = {"first": own_data.place(first) | fields, "second": own_data.place(second) | fields}
        targets, identity = ("first", "second"), 0.5
        config.generator.num_blocks = 2
    elif task != "colour":
        sets = {
            "mnist": {"name": "digits", "of": "image", "image_size": 28, "image_fit": "pad"},
            "small": {"name": "small_digits", "of": "image", "image_size": 28, "border": 4},
        }
        targets, identity = ("mnist", "small"), 0.5
        evaluator = {"name": "translation_accuracy", "label": "digit"}
        config.evaluators = {
            "to_small": evaluator | {"source": "mnist", "target": "small"},
            "to_mnist": evaluator | {"source": "small", "target": "mnist"},
        }
    else:
        photos = {"name": "clothing", "of": "image", "image_size": 64}
        sets = {"photo": photos | {"part": (0, 2)}, "image": photos | {"part": (1, 2)}}
        targets, identity = ("grey", "image"), 0.0
        config.derived = {"grey": {"name": "grey", "of": "photo"}}
        config.augment = {name: {"flip": 0.5} for name in ("photo", "image", "grey")}
        config.generator.num_blocks = 2
        # In the test split, `grey` and `image` are of the same photo: as image_translation is measured.
        config.evaluators = {
            "error": {"name": "reconstruction", "target": "image"},
            "back": {"name": "reconstruction", "target": "grey"},
            "frechet": {
                "name": "classifier_frechet",
                "data": presets.source("clothing", "image", image_size=64),
                "target": "image",
                "label": "clothing",
            },
        }
    config.data = {"name": "unpaired", "sets": sets}
    config.aligned = targets
    config.objective = {"name": "cycle_adversarial", "targets": targets, "cycle": 10.0, "identity": identity}
    if task == "digits_labelled":
        config.objective.update({"name": "cycle_semantic", "labels": {name: f"{name}_digit" for name in targets}})
        config.objective.update({"shift": 2, "noise": 0.2})
        config.target_encoder = {"name": "image.cnn", "features": 64, "channels": (32, 64)}
        config.optimizers.classifier = {"lr": 2e-3, "schedule": "cosine", "stop_step": CLASSIFIER_STEPS}
        config.train.steps += CLASSIFIER_STEPS
        for player in ("discriminator", "generator"):
            config.optimizers[player].start_step = CLASSIFIER_STEPS
    return override(config, LARGE | ({} if task in ("colour", "own") else LARGE_DIGITS)) if large else config
