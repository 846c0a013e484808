"""Convolutional autoencoder (Masci et al., 2011), and new images from a Gaussian fitted to its latents.

    mmgen train --config=configs/cae.py:digits --workdir=runs/cae_digits

Argument: `digits` (MNIST, 28 px), `clothing` (photos, 32 px) or `scenes` (built in, 32 px; the default).
Expected for `digits`, 5 minutes on 2 CPU cores: Fréchet distance 11.5 in the features of an MNIST classifier
(n = 5,000), reconstruction 24.5 dB.
"""

from mmgen_jax import config as configs
from mmgen_jax.data import presets

ARGUMENTS = ("scenes", "digits", "clothing")


def get_config(arg="scenes"):
    config = configs.base()
    sizes = {"scenes": {}, "digits": {}, "clothing": {"image_size": 32}}
    config.data = presets.source(arg, "image", **configs.choose(arg, sizes, "cae"))
    config.target_encoder = {"name": "image.cnn", "features": 32, "channels": (32, 64, 128), "norm": "none"}
    config.generator = {"name": "conv", "width": 32, "max_width": 128}
    config.objective = {"name": "reconstruction", "target": "image", "latent_dim": 32}
    config.optimizers = {"generator": {"lr": 1e-3, "schedule": "cosine", "warmup_steps": 100, "ema_decay": 0.995}}
    config.evaluators = {
        **presets.judges(arg, conditional=False),
        "reconstruction": {"name": "reconstruction", "from_target": True},
    }
    config.train.steps = 5000
    return config
