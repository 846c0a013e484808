"""Image to text and text to image retrieval by two towers (CLIP, Radford et al., 2021; SigLIP, Zhai et al., 2023).

    mmgen train --config=configs/image_text_retrieval.py:emoji --workdir=runs/retrieval_emoji
    mmgen retrieve --workdir=runs/retrieval_emoji --text="a red heart" --num=5 --out=out

The second command finds the nearest test pictures to a text, or the nearest texts with `--image=glyph.png`.

Argument: `emoji` (glyphs, their names and keywords, 32 px) or `scenes` (built in, 32 px; the default). For the sigmoid
loss: `--config.objective.loss_type=sigmoid --config.objective.temperature=0.1`.

Expected for `emoji`, a minute on a CPU core, mean of three seeds: recall@1, 5, 10 among the 160 test glyphs 0.07, 0.19,
0.27 from picture to text and 0.07, 0.19, 0.28 from text to picture (chance 0.01, 0.03, 0.06). The sigmoid loss is not
told apart from InfoNCE.

Expected for `scenes`, a minute, mean of three seeds: recall@1, 5, 10 is 0.06, 0.29, 0.59 from picture to text and 0.06,
0.29, 0.59 from text to picture (chance 0.001, 0.005, 0.01). Captions state three factors, so the 1,000 candidates are
of only 60 kinds of scene, and a caption does not tell scenes of one kind apart: a model that recognises every kind has
0.06, 0.30, 0.60.

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
        # No `flip` and no `hue`: names tell sides, directions and colours.
        config.augment = {
            "image": {"crop": 3, "rotate": 10.0, "brightness": 0.2, "contrast": 0.2, "cutout": 8},
            "text": {"drop": 0.2},
        }
    if not large:
        return config
    return presets.enlarged(config, LARGE_EMOJI if arg == "emoji" else LARGE)
