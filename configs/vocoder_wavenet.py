"""WaveNet as a vocoder: a waveform, sample by sample, from its log-mel spectrogram.

    mmgen train --config=configs/vocoder_wavenet.py:digits --workdir=runs/wavenet
    mmgen evaluate --workdir=runs/wavenet

Argument: the data.

    digits      spoken digits at 8 kHz; the default
    grid_s1     sentences of one speaker at 16 kHz

The waveform is modelled as mu-law codes of 256 (`representation.name="mu_law"`), each given the codes of the receptive
field before it and the mel frames around it (`config.aligned`). A step trains on a segment of each sound; sampling is
cached (`generators/wavenet.py`). The zeros that pad a short recording do not count in the loss, but for the first
`objective.pause` samples.

Expected: not run. Griffin-Lim has a log-spectral distance of 4.52 dB on digits (`experiments/vocoders`).

`large` or `<argument>_large`: the paper's depth, for one accelerator, not measured.
"""

from mmgen_jax.config import presets, schema

DATA = {
    "digits": {"name": "digits", "names": ("audio",), "audio_seconds": 0.768},
    "grid_s1": {"name": "grid_s1", "names": ("audio",)},
}
RATES = {"digits": (8000, 128), "grid_s1": (16_000, 256)}  # Hz, and samples from frame to frame
PAUSE = 1024  # samples of silence after a recording that still count
ARGUMENTS = ("digits", "large")


def get_config(arg="digits"):
    name, large = presets.sized(arg, DATA, "vocoder_wavenet")
    config = schema.base()
    rate, hop_length = RATES[name]
    config.data = DATA[name]
    config.derived = {"mel": {"name": "log_mel", "of": "audio", "sample_rate": rate, "hop_length": hop_length}}
    config.aligned = ("mel",)
    config.representation = {"name": "mu_law"}
    config.generator = {
        "name": "wavenet",
        "hop_length": hop_length,
        "features": 32,
        "skip_features": 64,
        "num_stacks": 2,
        "num_layers": 7,
    }
    config.objective = {
        "name": "autoregressive",
        "target": "audio",
        "segment": 8 * hop_length,
        "pause": PAUSE,
        "temperature": 0.9,
    }
    config.optimizers = {
        "generator": {"lr": 3e-3, "schedule": "cosine", "warmup_steps": 100, "clip_norm": 1.0, "ema_decay": 0.99}
    }
    config.train.batch_size = 16
    config.train.steps = 2000
    config.train.num_samples = 4
    config.evaluators = {
        "bits": {"name": "bits_per_sample", "pause": PAUSE},
        "fidelity": {"name": "sound_fidelity", "num_examples": 64},
        "frechet": {"name": "frechet_audio", "num_examples": 64},
    }
    if large:
        size = {"generator.features": 128, "generator.skip_features": 256, "generator.num_stacks": 3}
        size |= {"generator.num_layers": 10, "objective.segment": 32 * hop_length}
        config = presets.enlarged(config, size | {"train.steps": 200_000, "train.batch_size": 16})
    return config
