"""Clips by a GAN with separate latents of content and motion (MoCoGAN, Tulyakov et al., 2018), from noise or from text.

    mmgen train --config=configs/video_gan.py:digits,text --workdir=runs/video_gan
    mmgen sample --workdir=runs/video_gan --text="the number seven" --out=out

Argument: `digits` (a moving digit; the default) or `scenes` (a moving shape), 8 frames at 32 px, then `,text` for clips
from captions. Two discriminators judge each frame and the whole clip. Not measured yet.

`large` or `<argument>_large`: 64 px, networks and a training for one accelerator, not measured.
"""

from mmgen_jax.config import presets, schema
from mmgen_jax.config.override import override

DATA = {
    "digits": {"video_size": 32, "num_frames": 8},
    "scenes": {"image_size": 32, "num_frames": 8},
}
ARGUMENTS = ("digits", "scenes,text", "large")


def get_config(arg="digits"):
    arg = "digits_large" if arg == "large" else arg
    large, (dataset, _, condition) = arg.endswith("_large"), arg.removesuffix("_large").partition(",")
    fields = presets.choose(dataset, DATA, "video_gan")
    names = presets.choose(condition, {"": ("video",), "text": ("text", "video")}, "video_gan")
    config = schema.base()
    config.data = presets.source(dataset, *names, **fields)
    config.generator = {"name": "mocogan", "width": 16, "max_width": 64, "norm": "batch", "noise_dim": 3}
    config.discriminator = {"name": "frame_and_clip", "width": 16, "max_width": 64, "spectral_norm": True}
    config.objective = {"name": "adversarial", "target": "video", "loss_type": "hinge", "latent_dim": 64}
    if condition:
        config.encoders = {"text": {"name": "text.embedding", "features": 64}}
        config.fusion = {"name": "concat", "features": 64}
        config.generator.update({"conditions_at": "norm", "batch_conditions": True})
        config.objective["mismatch"] = 0.5
        config.evaluators = presets.target_judges(dataset, "video", ("text",))
    config.evaluators["frechet"] = {"name": "video_frechet", "label": presets.LABELS.get(dataset, "")}
    adam = {"lr": 4e-4, "b1": 0.5}
    config.optimizers = {"discriminator": adam, "generator": adam | {"ema_decay": 0.998}}
    config.train.batch_size = 32
    config.train.steps = 4000
    if large:
        side = "video_size" if dataset == "digits" else "image_size"
        size = {"dtype": "bfloat16", f"data.{side}": 64, "train.batch_size": 128, "train.steps": 100_000}
        networks = {"generator": (64, 512), "discriminator": (64, 512)}
        size |= {f"{name}.width": widths[0] for name, widths in networks.items()}
        config = override(config, size | {f"{name}.max_width": widths[1] for name, widths in networks.items()})
    return config
