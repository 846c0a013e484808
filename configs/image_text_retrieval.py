"""Image to text and text to image retrieval by two towers (CLIP, Radford et al., 2021; SigLIP, Zhai et al., 2023).

    mmgen train --config=configs/image_text_retrieval.py:emoji --workdir=runs/retrieval_emoji
    mmgen sample --workdir=runs/retrieval_emoji --text="a red heart" --num=5 --out=out

The second finds the nearest test pictures to a text, or with `--image=glyph.png` the nearest texts.

Argument: `emoji` (glyphs, their names and keywords, 32 px) or `scenes` (built in, 32 px; the default). The sigmoid
loss: `--config.objective.loss_type=sigmoid --config.objective.temperature=0.1`.

Expected for `emoji`, a minute of processor time: recall@1, 5, 10 among the 172 test glyphs 0.20, 0.40, 0.47 from
picture to text and 0.25, 0.38, 0.44 back (chance 0.01, 0.03, 0.06; one seed); the sigmoid loss reaches the same within
the intervals.

`scenes`, as long: captions state three factors, so 1,000 candidates are of 60 kinds of scene, and nothing tells
those of one kind apart. Recall@1, 5, 10 is 0.06, 0.30, 0.59 both ways; a model that knows every kind has 0.06, 0.30,
0.60 (chance 0.001, 0.005, 0.01).

For one accelerator: `large` (scenes) and `emoji_large`, 64 px, 36 and 37 M parameters; not measured.
"""

from mmgen_jax.config import presets, schema

ARGUMENTS = ("scenes", "emoji", "large")

LARGE = {
    "encoders.image.features": 512,
    "encoders.image.channels": (64, 128, 256, 512),
    "encoders.image.num_blocks": 2,
    "fusion.features": 512,
    "target_encoder.name": "text.transformer",
    "target_encoder.features": 512,
    "target_encoder.num_layers": 6,
    "target_encoder.num_heads": 8,
    "objective.embedding_dim": 512,
    "optimizers.encoder.lr": 3e-4,
    "optimizers.encoder.warmup_steps": 500,
    "optimizers.encoder.ema_decay": 0.999,
    "train.steps": 5000,
}
LARGE_EMOJI = LARGE | {"augment.image.crop": 6, "augment.image.cutout": 16}  # in pixels


def get_config(arg="scenes"):
    config = schema.base()
    fields = {"scenes": {"tell_motion": False}, "emoji": {"text": "name_and_keywords"}}
    arg, large = presets.sized(arg, ARGUMENTS, "image_text_retrieval")
    config.data = presets.source(arg, "text", "image", **fields[arg])
    config.encoders = {"image": {"name": "image.cnn", "features": 128}}
    config.fusion = {"name": "concat", "features": 128}
    config.target_encoder = {"name": "text.embedding", "features": 128}
    config.objective = {"name": "contrastive", "target": "text", "loss_type": "info_nce"}
    config.optimizers = {
        "encoder": {"lr": 1e-3, "schedule": "cosine", "warmup_steps": 100, "weight_decay": 1e-2, "ema_decay": 0.99}
    }
    config.evaluators = {"recall": {"name": "retrieval_recall"}}
    config.train.steps = 600 if arg == "emoji" else 400
    config.train.batch_size = 128
    if arg == "emoji":
        # No mirror images: names tell sides and directions. Hues stay too: they tell colours.
        config.augment = {
            "image": {"crop": 3, "rotate": 10.0, "brightness": 0.2, "contrast": 0.2, "cutout": 8},
            "text": {"drop": 0.2},
        }
    if not large:
        return config
    return presets.enlarged(config, LARGE_EMOJI if arg == "emoji" else LARGE)
