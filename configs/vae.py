"""Variational autoencoder (Kingma & Welling, 2014): unconditional images.

    mmgen train --config=configs/vae.py:digits --workdir=runs/vae_digits

Argument: `digits` (MNIST, 28 px, Bernoulli), `clothing` (photos, 32 px, Gaussian) or `scenes` (built in; the default).
Expected for `digits`, 5 minutes on 2 CPU cores: Fréchet distance 9.9 in the features of an MNIST classifier
(n = 5,000), reconstruction 22.8 dB, ELBO -99.8 nats (pixels binarised).
"""

from mmgen_jax import config as configs
from mmgen_jax.data import presets

ARGUMENTS = ("scenes", "digits", "clothing")


def get_config(arg="scenes"):
    config = configs.base()
    sizes = {"scenes": {}, "digits": {}, "clothing": {"image_size": 32}}
    config.data = presets.source(arg, "image", **configs.choose(arg, sizes, "vae"))
    config.target_encoder = {"name": "image.cnn", "features": 32, "channels": (32, 64, 128), "norm": "none"}
    config.generator = {"name": "conv", "width": 32, "max_width": 128}
    likelihood = {"likelihood": "bernoulli"} if arg == "digits" else {"likelihood": "gaussian", "scale": 0.15}
    config.objective = {"name": "variational", "target": "image", "latent_dim": 32, **likelihood}
    config.optimizers = {"generator": {"lr": 1e-3, "schedule": "cosine", "warmup_steps": 100, "ema_decay": 0.995}}
    config.evaluators = {
        **presets.judges(arg, conditional=False),
        "reconstruction": {"name": "reconstruction", "from_target": True},
        "likelihood": {"name": "likelihood"},
    }
    config.train.steps = 5000
    return config
