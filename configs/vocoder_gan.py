"""A vocoder trained against discriminators of its waveform: HiFi-GAN's losses, Vocos' generator.

    mmgen train --config=configs/vocoder_gan.py:grid_s1 --workdir=runs/vocoder
    mmgen evaluate --workdir=runs/vocoder

Argument: the data.

    grid_s1     sentences of one speaker at 16 kHz; the default
    digits      spoken digits at 8 kHz

The generator draws the short-time spectrum of each frame of the log-mel spectrogram (`config.aligned`). Discriminators
of five periods and three scales see the waveform; the mel spectrogram's error has the largest weight. A step trains on
a segment of each sound.

Expected: not run. Griffin-Lim, which a vocoder has to beat, has a log-spectral distance of 3.65 dB on GRID and 4.52 dB
on digits (`experiments/vocoders`).

`large` or `<argument>_large`: about the width of the papers, for one accelerator, not measured.
"""

from mmgen_jax.config import presets, schema

DATA = {
    "grid_s1": {"name": "grid_s1", "names": ("audio",)},
    "digits": {"name": "digits", "names": ("audio",), "audio_seconds": 0.768},
}
RATES = {"grid_s1": (16_000, 256), "digits": (8000, 128)}  # Hz, and samples from frame to frame
ARGUMENTS = ("grid_s1", "large")


def get_config(arg="grid_s1"):
    name, large = presets.sized(arg, DATA, "vocoder_gan")
    config = schema.base()
    rate, hop_length = RATES[name]
    config.data = DATA[name]
    config.derived = {"mel": {"name": "log_mel", "of": "audio", "sample_rate": rate, "hop_length": hop_length}}
    config.aligned = ("mel",)
    config.generator = {"name": "vocos", "hop_length": hop_length, "features": 192, "num_blocks": 4}
    config.discriminator = {"name": "waveform", "width": 8, "max_width": 64}
    config.objective = {
        "name": "adversarial",
        "target": "audio",
        "latent_dim": 0,
        "output": "linear",
        "loss_type": "least_squares",
        "mel": 45.0,
        "feature_matching": 20.0,
        "segment": 32 * hop_length,
    }
    adam = {"lr": 5e-4, "b1": 0.8, "b2": 0.99}
    config.optimizers = {"discriminator": adam, "generator": adam | {"clip_norm": 10.0, "ema_decay": 0.99}}
    config.train.batch_size = 8
    config.train.steps = 3000
    config.train.num_samples = 4
    config.evaluators = {
        "fidelity": {"name": "sound_fidelity", "num_examples": 64},
        "frechet": {"name": "frechet_audio", "num_examples": 64},
    }
    if large:
        size = {"generator.features": 512, "generator.num_blocks": 8}
        size |= {"discriminator.width": 32, "discriminator.max_width": 1024, "train.batch_size": 32}
        config = presets.enlarged(config, size | {"train.steps": 400_000})
    return config
