"""Recognition of clothing from classical and learned features of a photo: one feature, or all fused.

    mmgen train --config=configs/feature_fusion.py:cnn --workdir=runs/fusion_cnn

Argument: `colour`, `edge`, `texture`, `cnn`, `autoencoder`, or `all` (the default), which fuses the five;
`--config.fusion.name=gated`, for example, chooses the fusion. `autoencoder` and `all` start from a trained autoencoder,
whose workdir is `--config.encoders.autoencoder.init_from=WORKDIR`:

    mmgen train --config=configs/cae.py:clothing --workdir=runs/cae_clothing

Expected test accuracy, 3 seeds: colour 0.46, edge 0.61, texture 0.68, cnn 0.62, autoencoder 0.54; `all` 0.70 to 0.74,
depending on the fusion, in a minute on one idle CPU core (`early` and `bottleneck`: three minutes).
"""

from mmgen_jax.config import presets, schema

FEATURES = {
    "colour": {"name": "image.colour", "features": 64},
    "edge": {"name": "image.edge", "features": 64},
    "texture": {"name": "image.texture", "features": 64},
    "cnn": {"name": "image.cnn", "features": 64},
    # The first fields are those of `target_encoder` in configs/cae.py.
    "autoencoder": {
        "name": "image.cnn",
        "features": 32,
        "channels": (32, 64, 128),
        "norm": "none",
        "init_from": "runs/cae_clothing",
        "frozen": True,
        # A kernel for each cell, as the histograms have: the plain mean over the cells loses their places.
        "readout": 64,
    },
}
ARGUMENTS = ("all", *FEATURES)


def get_config(arg="all"):
    config = schema.base()
    choices = {"all": tuple(FEATURES), **{name: (name,) for name in FEATURES}}
    chosen = presets.choose(arg, choices, "feature_fusion")
    config.data = presets.source("clothing", "image", "clothing", image_size=32)
    config.augment = {"image": {"flip": 0.5, "crop": 3, "brightness": 0.2, "contrast": 0.2, "saturation": 0.2}}
    config.encoders = {name: {"modality": "image", **FEATURES[name]} for name in chosen}
    config.fusion = {"name": "concat", "features": 64, "modality_dropout": 0.0}
    config.objective = {"name": "recognition", "target": "clothing", "label_smoothing": 0.1, "dropout": 0.0}
    config.optimizers = {
        "classifier": {"lr": 1e-3, "schedule": "cosine", "warmup_steps": 50, "weight_decay": 1e-2, "ema_decay": 0.99}
    }
    config.evaluators = {
        "accuracy": {"name": "label_accuracy"},
        "retrieval": {"name": "class_retrieval", "label": "clothing"},
    }
    # Single features have twice the steps, so that they have no disadvantage in training.
    config.train.steps = 700 if arg == "all" else 1400
    config.train.sample_steps = 0
    return config
