"""Style transfer by adaptive instance normalisation (Huang & Belongie, 2017), and by optimisation (Gatys et al., 2016).

    mmgen train --config=configs/style_transfer.py --workdir=runs/style_transfer
    mmgen train --config=configs/style_transfer.py:photos=PATH,styles=PATH --workdir=runs/my_style_transfer
    mmgen sample --workdir=runs/style_transfer --given.photo=photo.jpg --given.style=painting.png --out=out
    mmgen sample --workdir=runs/style_transfer --given.photo=photo.jpg --given.style=painting.png --num=1 \
        --config.objective.optimisation_steps=200 --out=optimised

Content: photos of clothing. Styles: emoji glyphs, and parts of textures and photos of scikit-image (`[test]` extra).
`photos=PATH` and `styles=PATH` are folders of your own, together or one alone; `photos` may be an .npz file. Of each
picture of `styles`, training shows parts; of the file given by `--given.style`, the middle square is read. Your own
photos have no labels, so the encoder is trained without a classifier, and nothing is measured. The first stage trains
the encoder of photos and styles, the second stage trains the generator. `--config.objective.alpha=0.5` samples
with half the strength.

Expected, seed 0, 13 minutes on one CPU core: the Gram distance to the style falls by 0.75 (0.65 for the photo with the
style's colours), the cosine to the photo's content is 0.53 (0.67), on 200 test pairs in features of a judge.

Argument: `clothing` (the default); `large` or `clothing_large`, wider networks, for one accelerator, not measured.
"""

from mmgen_jax.config import own_data, presets, schema
from mmgen_jax.config.override import override

ARGUMENTS = ("clothing", "large")
OWN_DATA = ("photos", "styles")
ENCODER_STEPS, STEPS = 400, 5000


def get_config(arg="clothing", photos="", styles=""):
    _, large = presets.sized(arg, ("clothing",), "style_transfer")
    config = schema.base()
    config.data = {
        "name": "unpaired",
        "names": ("image", "style", "image_clothing"),
        "sets": {
            "image": {"name": "clothing", "of": "image", "image_size": 64},
            "style": {"name": "styles", "of": "image", "image_size": 64, "directory": ""},
        },
    }
    config.derived = {"photo": {"name": "copy", "of": "image"}}
    config.aligned = ("photo", "style")
    config.target_encoder = {"name": "image.pyramid", "channels": (16, 48, 96)}
    config.generator = {"name": "grid", "width": 16, "max_width": 64, "num_blocks": 1, "norm": "none"}
    config.generator.upsampling = "nearest"
    config.objective = {"name": "style_transfer", "target": "image", "label": "image_clothing", "style_loss": "gram"}
    config.objective.smoothness = 1.0
    config.optimizers = {
        "encoder": {"lr": 1e-3, "schedule": "cosine", "warmup_steps": 50, "stop_step": ENCODER_STEPS},
        "generator": {
            "lr": 1e-3,
            "schedule": "cosine",
            "warmup_steps": 50,
            "clip_norm": 1.0,
            "ema_decay": 0.998,
            "start_step": ENCODER_STEPS,
        },
    }
    config.train.steps = STEPS
    config.train.batch_size = 8
    config.evaluators = {
        "style": {"name": "style", "data": {"name": "clothing", "image_size": 64}},
    }
    if styles:
        config.data.sets.style.directory = styles
    if photos:
        config = override(config, {f"data.sets.image.{key}": value for key, value in own_data.place(photos).items()})
    if large:
        config = override(
            config,
            {
                "dtype": "bfloat16",
                "target_encoder.channels": (64, 128, 256, 512),
                "generator.width": 64,
                "generator.max_width": 512,
                "generator.num_blocks": 2,
                "optimizers.encoder.lr": 3e-4,
                "optimizers.encoder.warmup_steps": 500,
                "optimizers.encoder.stop_step": 20_000,
                "optimizers.generator.lr": 3e-4,
                "optimizers.generator.warmup_steps": 500,
                "optimizers.generator.start_step": 20_000,
                "optimizers.generator.ema_decay": 0.999,
                "train.steps": 80_000,
                "train.batch_size": 64,
            },
        )
    return config
