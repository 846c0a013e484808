"""Convolutional autoencoder (Masci et al., 2011), and new images from a Gaussian fitted to its latents.

    mmgen train --config=configs/cae.py:digits --workdir=runs/cae_digits

Argument: `digits` (MNIST, 28 px), `clothing` (photos, 32 px) or `scenes` (built in, 32 px; the default). Expected for
`digits`, 4 minutes on 2 CPU cores (seed 0) and 3 minutes on one (seed 1): Fréchet distance 11.5 and 12.2 in the
features of an MNIST classifier (n = 5,000), PSNR of reconstructions 24.5 and 24.4 dB (seeds 0 and 1). `clothing`, 6
minutes on a core: kernel distance 0.19 (n = 372; photos of the training split 0.11), PSNR 21.2 dB.

For one accelerator: `large` (scenes), `digits_large` and `clothing_large`, 64 px, 23 M parameters; not measured.
"""

from mmgen_jax.config import presets, schema

ARGUMENTS = ("scenes", "digits", "clothing", "large")

LARGE = {
    "target_encoder.features": 64,
    "target_encoder.channels": (128, 256, 512, 1024),
    "generator.width": 128,
    "generator.max_width": 1024,
    "objective.latent_dim": 64,
    "optimizers.generator.lr": 3e-4,
    "optimizers.generator.warmup_steps": 1000,
    "optimizers.generator.ema_decay": 0.9995,
    "train.steps": 40_000,
}


def get_config(arg="scenes"):
    config = schema.base()
    arg, large = presets.sized(arg, ARGUMENTS, "cae")
    config.data = presets.source(arg, "image", **({"image_size": 32} if arg == "clothing" else {}))
    config.target_encoder = {"name": "image.cnn", "features": 32, "channels": (32, 64, 128), "norm": "none"}
    config.generator = {"name": "conv", "width": 32, "max_width": 128}
    config.objective = {"name": "reconstruction", "target": "image", "latent_dim": 32}
    config.optimizers = {"generator": {"lr": 1e-3, "schedule": "cosine", "warmup_steps": 100, "ema_decay": 0.995}}
    config.evaluators = {
        **presets.judges(arg, conditional=False),
        "reconstruction": {"name": "reconstruction", "from_target": True},
    }
    config.train.steps = 5000
    return presets.enlarged(config, LARGE) if large else config
