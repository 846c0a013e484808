"""V-GAN: a clip and a reference picture condition a GAN that draws a picture.

    mmgen train --config=configs/vgan.py:digits --workdir=runs/vgan
    mmgen sample --workdir=runs/vgan --given.clip=walk.gif --given.reference=seven.png --out=out

Argument: the data, then in any order the inputs and the encoder of the clip, separated by commas:

    digits       MNIST, 32 px; the default
    grid_s1      a speaker's face, 48 px
    both, video, image         the inputs: clip and reference (the default), the clip alone, the reference alone
    frame_lstm, conv3d         a CNN for each frame and an LSTM (the default), or convolutions over space and time

`--config.fusion.name=gated`, for example, fuses the two in another way. The discriminator sees the conditions too.

The target of `digits` is the reference's handwritten digit, at half its size, at the place that the moving digit of the
clip will have one frame after the clip's end, rounded to the nearest of 3 x 3 places. The classes of the two are
unrelated. So the clip alone tells the place (by the motion of its 7 frames), and neither class nor handwriting; the
reference alone tells class and handwriting, and no place. The condition reaches the generator as one vector.

The target of `grid_s1` is the middle frame of a recording of 3 s, the clip is the 6 frames before it (5.3 frames a
second), and the reference is the last frame of the recording. Both are also given to the U-Net at the picture's own
grid (`config.aligned`).

A pixel is black in most targets, so that the absolute error of pix2pix would ask for black; the error of `digits` is
the squared error.

Expected of `digits` on one CPU core that did other work too, seed 0, 22 minutes: of 1,000 test pictures the class is
right in 0.800 [0.774, 0.824], the place in 0.818 [0.793, 0.841], both in 0.665; 21.08 dB. The last frame of the clip,
copied: 0.102, 0.161, 0.015, 14.68 dB. The clip alone (16 minutes): place 0.800, both 0.081; the reference alone (10
minutes): class 0.210, both 0.024. The others: not run (`experiments/vgan`).

For one accelerator: `large` or `<argument>_large`, 64 px, batches of 256.
"""

from mmgen_jax.config import presets, schema
from mmgen_jax.config.override import override
from mmgen_jax.errors import ConfigError

INPUTS = {"both": ("clip", "reference"), "video": ("clip",), "image": ("reference",)}
CLIPS = {
    "frame_lstm": {"name": "video.frame_lstm", "features": 64, "channels": (8, 16, 32)},
    "conv3d": {"name": "video.conv3d", "features": 64, "channels": (8, 16, 32)},
}
# A kernel for each frame or cell: many fusions average over them, which would lose their order and places.
READOUT = 128
ARGUMENTS = ("digits", "grid_s1", "large")


def get_config(arg="digits"):
    arg = "digits_large" if arg == "large" else arg
    large, (dataset, *options) = arg.endswith("_large"), arg.removesuffix("_large").split(",")
    parts = presets.choose(dataset, {"digits": digits, "grid_s1": grid_s1}, "vgan")
    for option in options:
        presets.choose(option, INPUTS | CLIPS, "vgan")
    inputs = next((INPUTS[option] for option in options if option in INPUTS), INPUTS["both"])
    clip = next((CLIPS[option] for option in options if option in CLIPS), CLIPS["frame_lstm"])
    for group in (INPUTS, CLIPS):
        if len(given := [option for option in options if option in group]) > 1:
            raise ConfigError(f"configs/vgan.py:{arg}: expected one of {', '.join(group)}, got {', '.join(given)}")
    if "clip" not in inputs and set(options) & set(CLIPS):
        raise ConfigError(
            f"configs/vgan.py:{arg}: `image` reads no clip; leave out {', '.join(set(options) & set(CLIPS))}"
        )
    config = schema.base()
    encoders = {"clip": clip, "reference": {"name": "image.cnn", "features": 32, "channels": (16, 32)}}
    config.encoders = {name: encoders[name] | {"readout": READOUT} for name in inputs}
    config.fusion = {"name": "concat", "features": 128}
    parts(config, inputs)
    if large:
        size = {"dtype": "bfloat16", "train.batch_size": 256, "train.steps": 60_000, "fusion.features": 512}
        size |= {f"encoders.{name}.features": 256 for name in inputs}
        size |= {"encoders.clip.channels": (64, 128, 256)} if "clip" in inputs else {}
        size |= {"encoders.reference.channels": (64, 128, 256)} if "reference" in inputs else {}
        size |= {f"{network}.width": 96 for network in ("generator", "discriminator")}
        size |= {f"{network}.max_width": 768 for network in ("generator", "discriminator")}
        size |= {"optimizers.generator.lr": 2e-4, "optimizers.discriminator.lr": 2e-4}
        config = override(config, size | {"optimizers.generator.ema_decay": 0.999, **larger(config, dataset)})
    return config


def digits(config, inputs):
    """The task on `digits`: the place comes from the clip, the digit from the reference."""
    config.data = {
        "name": "unpaired",
        "sets": {
            "video": {"name": "digits", "of": "video", "video_size": 32, "num_frames": 8},
            "reference": {"name": "digits", "of": "image", "offset": 5000},
        },
        "names": ("video", "reference"),
    }
    config.derived = {
        "clip": {"name": "frames", "of": "video", "stop": 7 / 8},
        "later": {"name": "frame", "of": "video", "at": 1.0},
        "drawn": {"name": "at_place", "of": ("reference", "later"), "side": 16, "cell": 8},
    }
    narrow = {"width": 16, "max_width": 64, "norm": "batch"}
    config.generator = {"name": "conv", **narrow, "conditions_at": "both", "batch_conditions": True}
    config.discriminator = {"name": "projection", **narrow}
    config.objective = {"name": "adversarial", "target": "drawn", "latent_dim": 16, "l2": 100.0}
    config.objective["loss_type"] = "non_saturating"
    adam = {"lr": 2e-3, "b1": 0.5, "schedule": "cosine", "warmup_steps": 50}
    config.optimizers = {"discriminator": adam | {"lr": 2e-4}, "generator": adam | {"ema_decay": 0.99}}
    config.evaluators = {
        "error": {"name": "picture_from_clip"},
        "coherence": {"name": "class_and_place", "classes": "reference_digit"},
    }
    config.train.batch_size = 32
    config.train.steps = 4000


def grid_s1(config, inputs):
    """The task on `grid_s1`: the next frame of a face."""
    config.data = presets.source("grid_s1", "video", "image", image_size=48, num_frames=16)
    config.derived = {
        "clip": {"name": "frames", "of": "video", "start": 1 / 8, "stop": 1 / 2},  # `image` is the frame behind it
        "reference": {"name": "frame", "of": "video", "at": 1.0},
    }
    config.aligned = inputs
    config.augment = {name: {"flip": 0.5} for name in ("image", "video", *config.derived)}
    config.generator = {"name": "translation", "width": 16, "max_width": 128}
    config.discriminator = {"name": "patch", "width": 16, "max_width": 128, "num_stages": 2}
    config.objective = {"name": "adversarial", "target": "image", "latent_dim": 0, "l1": 100.0}
    config.objective["loss_type"] = "non_saturating"
    adam = {"lr": 5e-4, "b1": 0.5, "schedule": "cosine", "warmup_steps": 50}
    config.optimizers = {"discriminator": adam | {"lr": 2e-4}, "generator": adam | {"ema_decay": 0.99}}
    config.evaluators = {
        "error": {"name": "picture_from_clip"},
        # The word that the speaker says in the middle of a sentence; a mouth shows it only in part.
        "frechet": {"name": "classifier_frechet", "label": "letter"},
    }
    config.train.batch_size = 16
    config.train.steps = 2000


def larger(config, dataset):
    """The fields of the data, and what follows from them, at 64 px."""
    if dataset == "grid_s1":
        return {"data.image_size": 64}
    sizes = {f"data.sets.reference.{field}": value for field, value in presets.DIGITS_64.items()}
    return sizes | {"data.sets.video.video_size": 64, "derived.drawn.side": 28, "derived.drawn.cell": 18}
