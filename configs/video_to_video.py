"""Clips from aligned clips: the next frames, and effects (colour, a drawing).

    mmgen train --config=configs/video_to_video.py:moving_mnist --workdir=runs/next_frames
    mmgen train --config=configs/video_to_video.py:grid_s1,effect=colour --workdir=runs/colour_clips

Argument: the data, then after commas a network and, for `grid_s1` and `scenes`, an effect, in any order.

    moving_mnist    10 frames of a moving digit at 32 px to the next 10; the default. `moving_mnist_large`: two digits
                    at 64 px, as in the published setting but for the differences named below
    grid_s1         a speaker's face at 48 px, 6.7 frames a second: 10 frames to the next 10, or an effect
    scenes          a moving shape at 32 px: 4 frames to the next 4, or an effect

    conv_lstm       next frames: a ConvLSTM that moves the last frame and draws pixels (the default)
    unet            a 3-D U-Net in one pass (the default of effects)
    diffusion       flow matching of the frames, with the same U-Net

    effect=colour   colour from grey frames
    effect=sketch   the edges of each frame, a drawing in white on black

The models are not measured yet. Without a model, squared error summed over a frame, on 1,000 test clips of
`moving_mnist`: black 24.4, the mean training clip 21.5, the last given frame 30.2 at the first and 42.6 at the tenth
frame. On the 111 test clips of `grid_s1`: the last given frame 3.8 at the first and 14.6 at the tenth frame.

`large` or `<argument>_large`: sized for one accelerator, not measured. OpenSTL (Tan et al., 2023,
docs/en/model_zoos/video_benchmarks.md) reports for 10 to 10 frames of Moving MNIST, two digits at 64 px, after 200
epochs of 10,000 clips, a squared error of 32.2 (SimVP) to 25.6 (SimVP with MogaNet), and 29.9 for a ConvLSTM of 33.8 M
parameters trained to convergence; summed over the pixels of a frame, as `mse` here. Here both digits of a clip have the
same class, and move 3 to 10 px a frame instead of 3.6, so these figures are not those of `moving_mnist_large`.
"""

from mmgen_jax.config import presets, schema
from mmgen_jax.config.override import override
from mmgen_jax.errors import ConfigError

DATA = {
    "moving_mnist": {"name": "digits", "num_frames": 20, "video_size": 32},
    "grid_s1": {"name": "grid_s1", "num_frames": 20, "image_size": 48},
    "scenes": {"name": "scenes", "num_frames": 8, "image_size": 32},
}
NETWORKS = ("conv_lstm", "unet", "diffusion")
HALVES = {
    "past": {"name": "frames", "of": "video", "stop": 0.5},
    "future": {"name": "frames", "of": "video", "start": 0.5},
}
EFFECTS = {
    "colour": ("grey", "video", {"grey": {"name": "per_frame", "of": "video", "transform": {"name": "grey"}}}),
    "sketch": ("video", "sketch", {"sketch": {"name": "per_frame", "of": "video", "transform": {"name": "edges"}}}),
}
ARGUMENTS = ("moving_mnist", "moving_mnist,diffusion", "grid_s1,effect=colour", "large")


def get_config(arg="moving_mnist"):
    arg = "moving_mnist_large" if arg == "large" else arg
    large, (data, network, effect) = arg.endswith("_large"), read(arg.removesuffix("_large"))
    config = schema.base()
    config.data = DATA[data] | {"names": ("video",)}
    source, target, config.derived = EFFECTS[effect] if effect else ("past", "future", HALVES)
    config.aligned = (source,)
    if data == "grid_s1":
        config.augment = {name: {"flip": 0.5} for name in ("video", *config.derived)}
    config.train.batch_size = 16
    adam = {"lr": 2e-3, "schedule": "cosine", "warmup_steps": 50, "clip_norm": 1.0, "ema_decay": 0.99}
    config.evaluators = {"error": {"name": "frame_error"}}
    # Patches in time too: the largest grid has half of the frames, of an effect all.
    unet = {"channels": (64, 96), "patch_size": (1, 4, 4) if effect else (2, 4, 4), "num_blocks": 1}
    if network == "conv_lstm":
        config.objective = {"name": "regression", "target": target, "error": "l2", "output": "linear"}
        config.generator = {"name": "conv_lstm", "features": 32, "patch_size": 4, "num_motions": 4, "reach": 6}
        adam["lr"] = 4e-3
        config.train.steps = 2500
    elif network == "unet":
        config.objective = {"name": "regression", "target": target, "error": "l1" if effect else "l2"}
        config.generator = {"name": "unet_translation", **unet}
        config.train.steps = 800
    else:
        config.objective = {"name": "diffusion", "target": target, "sampling_steps": 20}
        config.generator = {"name": "unet", **unet}
        config.train.steps = 2000
    config.optimizers = {"generator": adam}
    return enlarged(config, data, network) if large else config


def enlarged(config, data, network):
    """Moving MNIST as published, 200 epochs of 10,000 clips in batches of 16; other data at 64 px likewise."""
    size = {"dtype": "bfloat16", "train.steps": 125_000, "optimizers.generator.lr": 5e-4}
    size |= {"data.video_size": 64, "data.num_moving": 2} if data == "moving_mnist" else {"data.image_size": 64}
    if network == "conv_lstm":
        size |= {
            "generator.features": 128,
            "generator.num_layers": 4,
            "generator.kernel_size": 5,
            "generator.reach": 12,
        }
    else:
        size |= {"generator.channels": (128, 256, 512), "generator.num_blocks": 2}
    return override(config, size)


def read(arg):
    """`(data, network, effect)` of an argument; the effect is "" for next frames."""
    data, *parts = arg.split(",")
    presets.choose(data, DATA, "video_to_video")
    effects = [part.removeprefix("effect=") for part in parts if part.startswith("effect=")]
    networks = [part for part in parts if not part.startswith("effect=")]
    for part in effects:
        presets.choose(part, EFFECTS, "video_to_video")
    for part in networks:
        presets.choose(part, dict.fromkeys(NETWORKS), "video_to_video")
    effect = effects[0] if effects else ""
    network = networks[0] if networks else "unet" if effect else "conv_lstm"
    where = f"configs/video_to_video.py:{arg}"
    if len(effects) > 1 or len(networks) > 1:
        raise ConfigError(f"{where}: expected at most one network and one effect; leave the others out")
    if effect and network == "conv_lstm":
        raise ConfigError(f"{where}: conv_lstm continues a clip; for an effect choose unet or diffusion")
    if effect and data == "moving_mnist":
        raise ConfigError(f"{where}: moving digits are grey, so there is no effect of them; choose grid_s1 or scenes")
    return data, network, effect
