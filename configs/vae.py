"""Variational autoencoder (Kingma & Welling, 2014): unconditional images.

    mmgen train --config=configs/vae.py:digits --workdir=runs/vae_digits

Argument: `digits` (MNIST, 28 px, Bernoulli), `clothing` (photos, 32 px, Gaussian) or `scenes` (built in; the default).
The ELBO of `digits` is of dynamically binarised MNIST (Salakhutdinov & Murray, 2008; Burda et al., 2016): in training
and in every evaluation each pixel is drawn as 0 or 1 with its grey value as probability, and encoder and likelihood see
the drawn values. The ELBO is the mean of the bound with one latent for each test image; beta is 1.
Expected for `clothing`, 7 minutes of processor time, seed 0: kernel distance 0.38 [0.33, 0.44] (n = 372; training
photos with the classes of the test split 0.07, by another judge), PSNR 21.7 dB. `digits`: not measured yet.

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
    arg, large = presets.sized(arg, ARGUMENTS, "vae")
    config.data = presets.source(arg, "image", **({"image_size": 32} if arg == "clothing" else {}))
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
    if arg == "digits":
        config.evaluators.likelihood.num_examples = 10_000
    config.train.steps = 5000
    if arg == "clothing":  # chosen on the validation photos
        config.augment = {"image": {"flip": 0.5, "crop": 2}}
        config.objective.update(prior="mixture", num_components=64)
    if large:
        return presets.enlarged(config, LARGE)
    if arg == "digits":
        # On a CPU core, dense layers see several times as many examples as convolutions in the same time.
        config.target_encoder = {"name": "image.mlp", "features": 512, "hidden": 512, "norm": "none"}
        config.generator = {"name": "mlp", "width": 512, "norm": "none"}
        config.objective.update(prior="mixture", num_components=100)
        config.train.batch_size = 128
        config.train.steps = 30_000
    return config
