"""A sharp picture from a noisy clip of half its size: the middle frame, restored from all frames.

    mmgen train --config=configs/video_to_image.py:digits --workdir=runs/still
    mmgen sample --workdir=runs/still --given.clip=walk.gif --given.middle=walk.png --out=out

Argument: `digits` (a moving digit, 8 frames of 32 px; the default) or `grid_s1` (a speaker's face, 16 frames of 48 px),
then `,adversarial` for a discriminator of patches beside the error.

The clip is the video at half its size (bicubic), then with white noise (sigma 50 of 255 levels for `digits`, 25 for
`grid_s1`), drawn anew for each frame. The object moves, so that the mean of the frames is no sharper than a frame. The
network reads all frames of the clip as channels, and adds to the enlarged middle frame.

Expected of `digits` on one CPU core, seed 0, 2 minutes: 23.18 dB [23.06, 23.29] on 1,000 test clips, SSIM 0.793; the
enlarged middle frame has 16.96 dB, the median of the frames 17.42 dB. The others: not run
(`experiments/video_to_image`).

For one accelerator: `large` or `<argument>_large`, 64 px.
"""

from mmgen_jax.config import presets, schema
from mmgen_jax.config.override import override

DATA = {
    "digits": presets.source("digits", "video", video_size=32, num_frames=8),
    "grid_s1": presets.source("grid_s1", "video", image_size=48, num_frames=16),
}
SIGMA = {"digits": 50.0, "grid_s1": 25.0}  # levels of 255
ARGUMENTS = ("digits", "digits,adversarial", "large")


def get_config(arg="digits"):
    arg = "digits_large" if arg == "large" else arg
    large, (dataset, _, loss) = arg.endswith("_large"), arg.removesuffix("_large").partition(",")
    config = schema.base()
    config.data = presets.choose(dataset, DATA, "video_to_image")
    adversarial = presets.choose(loss, {"": False, "adversarial": True}, "video_to_image")
    noise = {"name": "noise", "sigma": SIGMA[dataset]}
    config.derived = {
        "still": {"name": "frame", "of": "video", "at": 0.5},
        "small": {"name": "per_frame", "of": "video", "transform": {"name": "downsample", "factor": 2}},
        "clip": {"name": "per_frame", "of": "small", "transform": noise, "same_draws": False},
        "middle": {"name": "frame", "of": "clip", "at": 0.5},
    }
    config.aligned = ("clip", "middle")
    if dataset == "grid_s1":
        config.augment = {name: {"flip": 0.5} for name in ("video", *config.derived)}
    config.generator = {"name": "subpixel", "source": "middle", "width": 32, "num_blocks": 3}
    adam = {"lr": 2e-3, "schedule": "cosine", "warmup_steps": 50}
    config.optimizers = {"generator": adam | {"ema_decay": 0.99}}
    config.objective = {"name": "regression", "target": "still", "error": "psnr", "output": "linear"}
    if adversarial:
        config.objective = {"name": "adversarial", "target": "still", "latent_dim": 0, "l1": 100.0, "output": "linear"}
        config.objective["loss_type"] = "hinge"
        config.discriminator = {"name": "patch", "width": 16, "num_stages": 1, "spectral_norm": True, "norm": "none"}
        config.optimizers["generator"]["b1"] = 0.5
        config.optimizers["discriminator"] = {"lr": 5e-4, "b1": 0.5}
    config.evaluators = {"error": {"name": "picture_from_clip"}}
    config.train.batch_size = 16
    config.train.steps = 1500
    if large:
        size = {"data.video_size" if dataset == "digits" else "data.image_size": 64}
        size |= {"dtype": "bfloat16", "train.batch_size": 64, "train.steps": 100_000}
        size |= {"generator.width": 128, "generator.num_blocks": 16, "optimizers.generator.lr": 5e-4}
        config = override(config, size)
    return config
