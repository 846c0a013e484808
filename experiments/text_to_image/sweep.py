"""Digits drawn from captions, and what they are compared with."""

SEEDS = (0, 1, 2)


def cells():
    return [
        {
            "label": "training images, whatever the caption",
            "config": "configs/text_to_image_gan.py:digits",
            "baseline": "training_examples",
            "seeds": SEEDS,
        },
        {"label": "conditional GAN", "config": "configs/text_to_image_gan.py:digits", "seeds": SEEDS},
    ]
