"""Super-resolution of clips: every frame from several small frames, or from its own small frame alone.

    mmgen train --config=configs/video_super_resolution.py:grid_s1,x4 --workdir=runs/video_x4
    mmgen train --config=configs/video_super_resolution.py:grid_s1,x4,frame --workdir=runs/frame_x4

Argument: `grid_s1` (a speaker's face at 48 px, 15 frames over 3 s; the default) or `scenes` (a moving shape at 32 px, 8
frames), then `x2` or `x4` (a half or a quarter of the size, Pillow's bicubic with antialiasing), then `,frame` for the
control: the same network with as many parameters, whose window of 5 frames holds one frame five times.

Expected of `grid_s1,x4` on one CPU core, seed 0, 4 minutes: 31.98 dB [31.81, 32.15] from five frames and 32.10 [31.93,
32.27] from one frame, bicubic 22.92, on 111 test clips: no gain is seen. The others: not run.

`large` or `<argument>_large`: 64 px, a network and a training for one accelerator, not measured.
"""

from mmgen_jax.config import presets, schema
from mmgen_jax.config.override import override

DATA = {
    "grid_s1": {"num_frames": 15, "image_size": 48},
    "scenes": {"num_frames": 8, "image_size": 32},
}
FACTORS = {"x2": 2, "x4": 4}
ARGUMENTS = ("grid_s1,x4", "scenes,x2,frame", "large")


def get_config(arg="grid_s1,x4"):
    arg = "grid_s1,x4_large" if arg == "large" else arg
    large, (dataset, _, rest) = arg.endswith("_large"), arg.removesuffix("_large").partition(",")
    factor, _, frames = rest.partition(",")
    fields = presets.choose(dataset, DATA, "video_super_resolution")
    factor = presets.choose(factor, FACTORS, "video_super_resolution")
    own_frame = presets.choose(frames, {"": False, "frame": True}, "video_super_resolution")
    config = schema.base()
    config.data = presets.source(dataset, "video", **fields)
    downsample = {"name": "downsample", "factor": factor}
    config.derived = {"small": {"name": "per_frame", "of": "video", "transform": downsample}}
    config.aligned = ("small",)
    config.augment = {name: {"flip": 0.5} for name in ("video", "small")}
    config.objective = {"name": "regression", "target": "video", "error": "psnr", "output": "linear"}
    config.generator = {"name": "clip_subpixel", "width": 32, "num_blocks": 3, "own_frame": own_frame}
    adam = {"lr": 2e-3, "schedule": "cosine", "warmup_steps": 50, "clip_norm": 1.0, "ema_decay": 0.99}
    config.optimizers = {"generator": adam}
    config.train.batch_size = 8
    config.train.steps = 1500
    config.evaluators = {"error": {"name": "frame_error", "small": "small"}}
    if large:
        size = {"dtype": "bfloat16", "data.image_size": 64, "train.batch_size": 32, "train.steps": 100_000}
        config = override(config, size | {"generator.width": 128, "generator.num_blocks": 16})
    return config
