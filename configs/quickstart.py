"""Text + audio to image on the built-in scenes, in under two minutes on 2 CPU cores.

    mmgen train --config=configs/quickstart.py --workdir=runs/quickstart
    mmgen sample --workdir=runs/quickstart --text="a large green star" --out=out
"""

from mmgen_jax import config as configs


def get_config(arg=""):
    config = configs.base()
    config.data = {"name": "scenes", "names": ("text", "audio", "image")}
    config.encoders = {
        "text": {"name": "text.embedding", "features": 64},
        "audio": {"name": "audio.log_mel_cnn", "features": 64, "channels": (16, 32)},
    }
    config.fusion = {"name": "concat", "features": 64}
    config.generator = {"name": "conv", "width": 32, "max_width": 128}
    config.discriminator = {"name": "projection", "width": 32, "max_width": 128, "spectral_norm": True}
    config.objective = {"name": "adversarial", "target": "image", "latent_dim": 32}
    adam = {"lr": 4e-4, "b1": 0.0, "b2": 0.99, "ema_decay": 0.0}
    config.optimizers = {"discriminator": adam, "generator": adam | {"ema_decay": 0.99}}
    config.evaluators = {"coherence": {"name": "scenes_coherence", "num_examples": 1000}}
    config.train.steps = 1500
    return config
