"""Unconditional digits and garments by three families, a GAN at 64 px, and their baselines."""

SEEDS = (0, 1, 2)


def cells():
    return [
        {
            "label": "real training images",
            "config": "configs/dcgan.py:digits",
            "baseline": "training_examples",
            "seeds": SEEDS,
        },
        {"label": "mean training image", "config": "configs/cae.py:digits", "baseline": "mean_example", "seeds": (0,)},
        {"label": "GAN", "config": "configs/dcgan.py:digits", "seeds": SEEDS},
        {"label": "VAE", "config": "configs/vae.py:digits", "seeds": SEEDS},
        {"label": "autoencoder", "config": "configs/cae.py:digits", "seeds": SEEDS},
        {"label": "GAN, 64 px", "config": "configs/dcgan.py:digits64", "seeds": SEEDS},
        {
            "label": "real training images, 64 px",
            "config": "configs/dcgan.py:digits64",
            "baseline": "training_examples",
            "seeds": SEEDS,
        },
        {
            "label": "clothing, real training images",
            "config": "configs/dcgan.py:clothing",
            "baseline": "training_examples",
            "seeds": SEEDS,
        },
        {
            "label": "clothing, real training images, classes as in the test split",
            "config": "configs/dcgan.py:clothing",
            "baseline": "class_matched",
            "seeds": SEEDS,
        },
        {
            "label": "clothing, mean training image",
            "config": "configs/cae.py:clothing",
            "baseline": "mean_example",
            "seeds": (0,),
        },
        {"label": "clothing, GAN", "config": "configs/dcgan.py:clothing", "seeds": SEEDS},
        {"label": "clothing, VAE", "config": "configs/vae.py:clothing", "seeds": SEEDS},
        {"label": "clothing, autoencoder", "config": "configs/cae.py:clothing", "seeds": SEEDS},
    ]
