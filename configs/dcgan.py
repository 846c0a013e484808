"""DCGAN (Radford et al., 2016): unconditional images.

    mmgen train --config=configs/dcgan.py:digits --workdir=runs/dcgan_digits

Argument: `digits` (MNIST, 28 px), `digits64` (MNIST at 64 px, with the batch and steps usual at that size), `clothing`
(photos, 32 px) or `scenes` (built in, 32 px; the default). Expected for `digits`, 5 minutes on 2 CPU cores (seed 0) and
8 minutes on one (seed 1): Fréchet distance 11.7 and 11.0 in the features of an MNIST classifier (n = 5,000), precision
0.33 and 0.32, recall 0.48 and 0.59 (seeds 0 and 1). `clothing`, 10 minutes on a core: kernel distance 0.15 (n = 372;
photos of the training split 0.11). `digits64`, 53 and 62 minutes on a core: MS-SSIM of 5,000 pairs of samples 0.152 and
0.163, sliced Wasserstein distance 20.5 and 15.8 thousandths (n = 10,000; seeds 0 and 1).

For one accelerator: `large` (scenes), `digits_large` and `clothing_large`, 64 px and the paper's widths, 24 M
parameters; `digits64_large`, which is `digits64` with the widths of the authors' code, 6 M; not measured.
"""

from mmgen_jax.config import presets, schema

ARGUMENTS = ("scenes", "digits", "clothing", "digits64", "large")

LARGE = {
    "generator.width": 128,
    "generator.max_width": 1024,
    "discriminator.width": 128,
    "discriminator.max_width": 1024,
    "optimizers.generator.ema_decay": 0.999,
    "train.steps": 30_000,
}


def get_config(arg="scenes"):
    config = schema.base()
    arg, large = presets.sized(arg, ARGUMENTS, "dcgan")
    sizes = {"clothing": {"image_size": 32}, "digits64": {"image_size": 64, "image_fit": "resize"}}
    config.data = presets.source(arg.removesuffix("64"), "image", **sizes.get(arg, {}))
    config.generator = {"name": "conv", "width": 32, "max_width": 256}
    config.discriminator = {"name": "conv", "width": 32, "max_width": 256, "norm": "batch", "spectral_norm": False}
    config.objective = {"name": "adversarial", "target": "image", "latent_dim": 100, "loss_type": "non_saturating"}
    adam = {"lr": 2e-4, "b1": 0.5}
    config.optimizers = {"discriminator": adam, "generator": adam | {"ema_decay": 0.995}}
    config.evaluators = presets.judges(arg, conditional=False)
    config.train.steps = 5000
    if arg == "digits64":
        # The sizes of the authors' code; for a CPU, a quarter of its width. Learning rates are scaled by the inverse
        # of that fraction and initial weights by its inverse square root: the rule of Yang et al. (2022) for hidden
        # layers, here for all layers. In a pilot with the unscaled values, the narrow generator drew one picture for
        # every latent at step 2,000 (mode collapse); with the scaled values it draws digits by step 1,000.
        fraction = 1.0 if large else 0.25
        network = {"width": int(64 * fraction), "max_width": int(512 * fraction), "init_std": 0.02 * fraction**-0.5}
        config.generator.update(network | {"input_bias": False})
        config.discriminator.update(network)
        # With a constant learning rate, the generator of a pilot drew only noise from step 3,700 on.
        adam = {"lr": 2e-4 / fraction, "b1": 0.5, "schedule": "step", "hold_steps": 3000}
        config.optimizers = {"discriminator": adam, "generator": adam}
        config.evaluators = {
            "ms_ssim": {"name": "ms_ssim", "num_examples": 10_000},
            "swd": {"name": "sliced_wasserstein", "num_examples": 10_000},
        }
        config.train.batch_size = 128
        return config
    return presets.enlarged(config, LARGE) if large else config
