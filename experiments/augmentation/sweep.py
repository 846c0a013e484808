"""Augmentation and a second view of each example, at three amounts of training data, on two sets."""

SEEDS = (0, 1, 2)
FRACTIONS = (0.05, 0.25, 1.0)
SECOND_VIEW = {"digits": "digits_audio", "clothing": "clothing_features"}
STRENGTHS = {
    "digits": {"image": ("crop", "rotate")},
    "clothing": {"image": ("flip", "crop", "brightness", "contrast", "saturation")},
    "digits_audio": {"image": ("crop", "rotate"), "audio": ("shift", "gain", "noise")},
}
STRENGTHS["clothing_features"] = STRENGTHS["clothing"]
NOISE = {"augment.audio.noise": 0.05}  # of the sounds; the config has none
COMMON = {"train.steps": 400, "encoders.image.channels": (16, 32, 64), "evaluators.retrieval.num_examples": 1000}
# Of `clothing`, the small network and the few operations that `clothing_features` has too: few steps and few photos are
# no match for the longer recipe of the config.
PLAIN = {
    **{f"encoders.image.{name}": None for name in ("num_blocks", "norm")},
    **{"augment.image.crop": 3, "augment.image.rotate": None, "augment.image.zoom": None, "augment.image.hue": None},
    **{"objective.mixup": None, "optimizers.classifier.lr": 1e-3, "optimizers.classifier.weight_decay": 1e-2},
}


def cells():
    for dataset, both in SECOND_VIEW.items():
        for argument in (dataset, both):
            plain = PLAIN if argument == "clothing" else NOISE if argument == "digits_audio" else {}
            off = {f"augment.{name}.{key}": 0 for name, keys in STRENGTHS[argument].items() for key in keys}
            for fraction in FRACTIONS:
                for augmented in (False, True):
                    views = "image" if argument == dataset else f"image + {argument.partition('_')[2]}"
                    yield {
                        "label": f"{dataset}, {fraction:.0%}, {views}" + (", augmented" if augmented else ""),
                        "config": f"configs/image_recognition.py:{argument}",
                        "overrides": {**COMMON, "data.fraction": fraction, **plain, **({} if augmented else off)},
                        "seeds": SEEDS,
                    }
