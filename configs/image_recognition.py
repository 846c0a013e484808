"""Recognition of an image's class, from the image alone or with a second view of the same example.

    mmgen train --config=configs/image_recognition.py:clothing --workdir=runs/recognition_clothing

Argument: `digits` (MNIST, 28 px), `clothing` (photos, 32 px; the default), `digits_audio` (image and spoken digit) or
`clothing_features` (the photo, and its own colour, edge and texture histograms: the only other modality of the set is a
caption, which gives the class away). One override chooses another image encoder:
`--config.encoders.image.name=image.vit` (with `--config.encoders.image.patch_size=7` for the 28 px of `digits`),
`image.edge`, `image.texture` or, for photos, `image.colour`. `--config.data.fraction=0.05` trains on 5 % of the
training split, `--config.objective.mixup=0.2` on mixtures of two examples (mixup).

Expected on a CPU core, one seed: `digits`, 3 minutes, accuracy 0.994 (with the ViT, 11 minutes, 0.990; a linear probe
on the pixels has 0.926); `clothing`, 9 minutes of processor time, 0.712 on the 372 test photos
(`experiments/recognition`). With few steps and parts of the data: `experiments/augmentation`.

For one accelerator: `large` (clothing), `digits_large`, `digits_audio_large` and `clothing_features_large`, 64 px, 16
to 18 M parameters; not measured.
"""

from mmgen_jax.config import presets, schema

ARGUMENTS = ("clothing", "digits", "digits_audio", "clothing_features", "large")

DATA = {"digits": {}, "clothing": {"image_size": 32}}
AUGMENT = {
    "digits": {"image": {"crop": 2, "rotate": 10.0}},
    "clothing": {"image": {"flip": 0.5, "crop": 3, "brightness": 0.2, "contrast": 0.2, "saturation": 0.2}},
    "audio": {"shift": 0.1, "gain": 6.0},  # noise would fill the silence that recordings end with
}
SECOND_VIEW = {
    "digits_audio": {"audio": {"name": "audio.mfcc", "features": 128}},
    "clothing_features": {
        "colour": {"name": "image.colour", "modality": "image", "features": 128},
        "edge": {"name": "image.edge", "modality": "image", "features": 128},
        "texture": {"name": "image.texture", "modality": "image", "features": 128},
    },
}
LARGE = {
    "encoders.image.features": 512,
    "encoders.image.channels": (64, 128, 256, 512),
    "encoders.image.num_blocks": 2,
    "fusion.features": 512,
    "optimizers.classifier.lr": 5e-4,
    "optimizers.classifier.warmup_steps": 500,
    "optimizers.classifier.ema_decay": 0.999,
    "train.steps": 10_000,
}


def get_config(arg="clothing"):
    config = schema.base()
    arg, large = presets.sized(arg, ARGUMENTS, "image_recognition")
    dataset, audio = arg.partition("_")[0], ("audio",) if arg == "digits_audio" else ()
    label = presets.LABELS[dataset]
    config.data = presets.source(dataset, "image", *audio, label, fraction=1.0, **DATA[dataset])
    config.augment = AUGMENT[dataset] | {name: AUGMENT[name] for name in audio}
    config.encoders = {"image": {"name": "image.cnn", "features": 128}, **SECOND_VIEW.get(arg, {})}
    config.fusion = {"name": "concat", "features": 128}
    config.objective = {"name": "recognition", "target": label, "label_smoothing": 0.1}
    config.optimizers = {
        "classifier": {"lr": 1e-3, "schedule": "cosine", "warmup_steps": 50, "weight_decay": 1e-2, "ema_decay": 0.99}
    }
    config.evaluators = {
        "accuracy": {"name": "label_accuracy"},
        "retrieval": {"name": "class_retrieval", "label": label},
    }
    config.train.steps = 5500
    config.train.sample_steps = 0
    if arg == "clothing":  # chosen on the validation photos
        config.encoders.image.update(num_blocks=1, norm="batch")
        config.augment.image.update(crop=4, rotate=10.0, zoom=0.25, hue=0.03)
        config.objective.mixup = 0.2
        config.optimizers.classifier.update(lr=2e-3, weight_decay=0.1)
        config.train.steps = 3000
    if not large:
        return config
    return presets.enlarged(config, LARGE | {"augment.image.crop": 2 * config.augment.image.crop})  # in pixels
