"""Clips from sounds: a conditional VAE (Sohn et al., 2015) of the whole clip.

    mmgen train --config=configs/audio_to_video_vae.py:digits --workdir=runs/spoken_to_moving
    mmgen sample --workdir=runs/spoken_to_moving --audio=seven.wav --out=out

Argument: `digits` (a spoken digit to a moving digit, 8 frames of 32 px; the default), `scenes` (built in: a sound to
the scene that it describes) or `grid_s1` (speech to the speaker's face, 16 frames of 48 px).

The latent holds what the sound does not tell: of `digits` the handwriting and the path, of `grid_s1` the pose. The
latent's prior depends on the sound. A frame is drawn from the code of its time step (`generators/temporal.py`).

Expected of `digits` on one CPU core, seed 0, 17 minutes: the spoken digit is recognised in 0.252 [0.226, 0.280] of
1,000 clips (chance 0.1; real clips of the same digits 0.984). By eye, blurred shapes that move like the real digits,
and only some of which are digits: it does not work yet.
`any_to_any.py:digits,target=video,family=diffusion,conditions=audio` is the same task by diffusion. The others: not run
(`experiments/audio_to_video`).

For one accelerator: `large` (digits) or `<argument>_large`, 64 px, batches of 256.
"""

from mmgen_jax.config import presets, schema

DATA = {
    "digits": presets.source("digits", "audio", "video", video_size=32, num_frames=8),
    "scenes": presets.source("scenes", "audio", "video", num_frames=8),
    "grid_s1": presets.source("grid_s1", "audio", "video", image_size=48, num_frames=16),
}
ARGUMENTS = ("digits", "large")
LARGE = {
    "encoders.audio.features": 256,
    "encoders.audio.channels": (64, 128, 256),
    "fusion.features": 256,
    "target_encoder.features": 256,
    "target_encoder.channels": (64, 128, 256, 256),
    "generator.width": 64,
    "generator.max_width": 512,
    "generator.features": 256,
    "objective.latent_dim": 64,
    "optimizers.generator.lr": 4e-4,
    "optimizers.generator.warmup_steps": 1000,
    "optimizers.generator.ema_decay": 0.9995,
    "train.steps": 40_000,
}


def get_config(arg="digits"):
    config = schema.base()
    dataset, large = presets.sized(arg, (*DATA, "large"), "audio_to_video_vae")
    config.data = DATA[dataset]
    # A shift would part the sound of a speaker from the mouth.
    config.augment = {"audio": {"gain": 6.0} | ({"shift": 0.05} if dataset == "digits" else {})}  # dB, seconds
    config.encoders = {
        "audio": {"name": "audio.log_mel_cnn", "features": 64, "channels": (16, 32, 32), "readout": 64},
    }
    config.fusion = {"name": "concat", "features": 64}
    config.target_encoder = {"name": "video.frame_lstm", "features": 64, "channels": (16, 32), "norm": "none"}
    config.generator = {"name": "temporal", "width": 16, "max_width": 128, "conditions_at": "both"}
    config.objective = {"name": "variational", "target": "video", "latent_dim": 24, "prior": "conditional"}
    if dataset == "digits":
        # A Gaussian's tanh saturates on a background that is all black.
        config.objective.update({"likelihood": "bernoulli", "beta": 2.0})
    else:
        config.objective["scale"] = 0.25
    config.optimizers = {"generator": {"lr": 2e-3, "schedule": "cosine", "warmup_steps": 100, "ema_decay": 0.995}}
    label = presets.LABELS.get(dataset, "")
    judges = {} if dataset == "grid_s1" else presets.target_judges(dataset, "video", ("audio",))
    config.evaluators = judges | {"frechet": {"name": "video_frechet", "label": label}}
    config.train.batch_size = 32
    config.train.steps = 4000
    return presets.enlarged(config, LARGE) if large else config
