"""Text to image by a conditional GAN with a projection discriminator (Miyato & Koyama, 2018).

    mmgen train --config=configs/text_to_image_gan.py:digits --workdir=runs/text_to_image_gan_digits
    mmgen sample --workdir=runs/text_to_image_gan_digits --text="a handwritten seven" --out=out

Argument: `digits` (MNIST with captions, 28 px) or `scenes` (built in, 32 px; the default).
"""

from mmgen_jax import config as configs
from mmgen_jax.data import presets

ARGUMENTS = ("scenes", "digits")


def get_config(arg="scenes"):
    config = configs.base()
    configs.choose(arg, dict.fromkeys(ARGUMENTS), "text_to_image_gan")
    config.data = presets.source(arg, "text", "image")
    config.encoders = {"text": {"name": "text.embedding", "features": 64}}
    config.fusion = {"name": "concat", "features": 64}
    config.generator = {"name": "conv", "width": 64, "max_width": 256, "conditional_norm": True}
    config.discriminator = {"name": "projection", "width": 64, "max_width": 256, "spectral_norm": True}
    config.objective = {
        "name": "adversarial",
        "target": "image",
        "latent_dim": 64,
        "loss_type": "hinge",
        "mismatch": 0.0,  # weight of the wrong-caption loss (Reed et al., 2016)
    }
    adam = {"lr": 4e-4, "b1": 0.0, "b2": 0.9}
    config.optimizers = {"discriminator": adam, "generator": adam | {"lr": 2e-4, "ema_decay": 0.995}}
    config.evaluators = presets.judges(arg, conditional=True)
    config.train.steps = 4000
    return config
