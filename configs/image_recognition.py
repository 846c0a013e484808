"""Recognition of an image's class.

    mmgen train --config=configs/image_recognition.py:clothing --workdir=runs/recognition_clothing

Argument: `digits` (MNIST, 28 px) or `clothing` (photos, 32 px; the default). Other encoders by one override:
`--config.encoders.image.name=image.vit`, `image.colour`, `image.edge` or `image.texture`.
"""

from mmgen_jax import config as configs
from mmgen_jax.data import presets

ARGUMENTS = ("clothing", "digits")

CHOICES = {
    # 28 is divided by neither 8 nor by 4 cells of 8: a shift of 2 pixels keeps every digit whole.
    "digits": {"data": {}, "augment": {"crop": 2, "rotate": 10.0}},
    "clothing": {
        "data": {"image_size": 32},
        "augment": {"flip": 0.5, "crop": 3, "brightness": 0.2, "contrast": 0.2, "saturation": 0.2},
    },
}


def get_config(arg="clothing"):
    config = configs.base()
    choice, label = configs.choose(arg, CHOICES, "image_recognition"), presets.LABELS[arg]
    config.data = presets.source(arg, "image", label, **choice["data"])
    config.augment = {"image": choice["augment"]}
    config.encoders = {"image": {"name": "image.cnn", "features": 128}}
    config.fusion = {"name": "concat", "features": 128}
    config.objective = {"name": "recognition", "target": label, "label_smoothing": 0.1}
    config.optimizers = {
        "classifier": {"lr": 1e-3, "schedule": "cosine", "warmup_steps": 50, "weight_decay": 1e-2, "ema_decay": 0.99}
    }
    config.evaluators = {
        "accuracy": {"name": "label_accuracy"},
        "retrieval": {"name": "class_retrieval", "label": label},
    }
    config.train.steps = 1500
    config.train.sample_steps = 0
    return config
