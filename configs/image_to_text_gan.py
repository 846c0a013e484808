"""Image to text by a GAN: a captioner trained by likelihood, then against a discriminator of captions and pictures.

    mmgen train --config=configs/image_to_text_gan.py:scenes --workdir=runs/image_to_text_gan_scenes
    mmgen sample --workdir=runs/image_to_text_gan_scenes --image=photo.png --out=out

Words are drawn with Gumbel-softmax and straight-through gradients (Jang et al., 2017). Argument: `scenes` (built in,
32 px; the default) or `emoji` (glyphs and their names, 32 px). The captioner is the captioner of `image_captioning.py`.
It is evaluated where the adversarial phase begins (in `metrics.jsonl`); `mmgen sample --config.objective.strength=0`
draws from the captioner before the adversarial phase.

Expected for `scenes`, 59 minutes on a CPU core with other work: shape, colour and size all right in 0.998 of 1,000
captions (before the adversarial phase 0.999), on the compositional split in 0.089 (0.122); BLEU-4 99.9. Whether
captions are more varied: `experiments/captioning_temperature`. `emoji`: not measured on the present split.

For one accelerator: `large` (scenes) and `emoji_large`, 64 px, 62 and 65 M parameters, a third of which belong to the
captioner before the adversarial phase; not measured.
"""

from mmgen_jax.config import presets, schema

ARGUMENTS = ("scenes", "emoji", "large")
# Steps of the run. The discriminator is trained for some steps before the adversarial phase, because its image encoder
# starts from random weights.
DISCRIMINATOR_FROM, PRETRAINING, STEPS = 1000, 3000, 5000

LARGE = {
    "encoders.image.features": 512,
    "encoders.image.channels": (128, 256, 512),
    "encoders.image.num_blocks": 2,
    "fusion.features": 512,
    "generator.features": 512,
    "discriminator.features": 512,
    "objective.anneal_steps": (12_000, 20_000),
    "optimizers.pretraining.lr": 3e-4,
    "optimizers.pretraining.warmup_steps": 500,
    "optimizers.pretraining.stop_step": 12_000,
    "optimizers.discriminator.lr": 3e-4,
    "optimizers.discriminator.start_step": 4000,
    "optimizers.generator.lr": 1e-5,
    "optimizers.generator.warmup_steps": 500,
    "optimizers.generator.start_step": 12_000,
    "train.eval_steps": 12_000,
    "train.steps": 20_000,
}


def get_config(arg="scenes"):
    config = schema.base()
    arg, large = presets.sized(arg, ARGUMENTS, "image_to_text_gan")
    # An image does not show the motion.
    config.data = presets.source(arg, "image", "text", **({"tell_motion": False} if arg == "scenes" else {}))
    config.encoders = {"image": {"name": "image.cnn", "features": 128, "channels": (32, 64, 128)}}
    config.fusion = {"name": "concat", "features": 128}
    config.generator = {"name": "recurrent", "features": 128, "dropout": 0.1}
    config.discriminator = {"name": "sequence", "features": 128, "dropout": 0.2}
    config.objective = {
        "name": "adversarial_text",
        "target": "text",
        "loss_type": "non_saturating",
        "mismatch": 0.5,  # weight of the wrong-picture loss (Reed et al., 2016)
        "likelihood_weight": 1.0,
        "temperature": 0.5,  # of sampling, as in image_captioning.py
        "gumbel_temperature": (1.0, 0.5),
        "anneal_steps": (PRETRAINING, STEPS),
    }
    config.optimizers = {
        "pretraining": {
            "lr": 1e-3,
            "schedule": "cosine",
            "warmup_steps": 100,
            "clip_norm": 1.0,
            "weight_decay": 0.01,
            "stop_step": PRETRAINING,
        },
        "discriminator": {"lr": 1e-3, "b1": 0.5, "start_step": DISCRIMINATOR_FROM},
        "generator": {
            "lr": 3e-5,
            "b1": 0.5,
            "warmup_steps": 100,
            "clip_norm": 1.0,
            "start_step": PRETRAINING,
            "ema_decay": 0.998,
        },
    }
    config.evaluators = {"captions": {"name": "captions"}}
    if arg == "scenes":
        config.evaluators.factors = {"name": "scenes_captions"}
    if arg == "emoji":  # as in image_captioning.py
        config.augment = {"image": {"crop": 3, "rotate": 15.0, "brightness": 0.1, "contrast": 0.2, "saturation": 0.2}}
        config.generator.dropout = 0.3
    config.train.steps = STEPS
    config.train.eval_steps = PRETRAINING
    return presets.enlarged(config, LARGE) if large else config
