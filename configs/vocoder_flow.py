"""WaveGlow: a vocoder as a normalising flow, with the exact likelihood of a waveform given its log-mel spectrogram.

    mmgen train --config=configs/vocoder_flow.py:digits --workdir=runs/flow
    mmgen evaluate --workdir=runs/flow

Argument: the data.

    digits      spoken digits at 8 kHz; the default
    grid_s1     sentences of one speaker at 16 kHz

Every sample of the sound is drawn at once, from as much noise. Normal noise of a deviation of `objective.noise` is
added to the sound, without which the likelihood of silence has no bound; nats per sample of two models compare only
with one noise and one rate.

Expected: not run. Griffin-Lim has a log-spectral distance of 4.52 dB on digits (`experiments/vocoders`).

`large` or `<argument>_large`: near the paper's size, for one accelerator, not measured.
"""

from mmgen_jax.config import presets, schema

DATA = {
    "digits": {"name": "digits", "names": ("audio",), "audio_seconds": 0.768},
    "grid_s1": {"name": "grid_s1", "names": ("audio",)},
}
RATES = {"digits": (8000, 128), "grid_s1": (16_000, 256)}  # Hz, and samples from frame to frame
ARGUMENTS = ("digits", "large")


def get_config(arg="digits"):
    name, large = presets.sized(arg, DATA, "vocoder_flow")
    config = schema.base()
    rate, hop_length = RATES[name]
    config.data = DATA[name]
    config.derived = {"mel": {"name": "log_mel", "of": "audio", "sample_rate": rate, "hop_length": hop_length}}
    config.aligned = ("mel",)
    config.generator = {"name": "waveglow", "hop_length": hop_length, "num_flows": 8, "features": 48}
    config.objective = {"name": "flow", "target": "audio", "segment": 16 * hop_length, "temperature": 0.6}
    config.optimizers = {
        "generator": {"lr": 1e-3, "schedule": "cosine", "warmup_steps": 100, "clip_norm": 1.0, "ema_decay": 0.99}
    }
    config.train.batch_size = 16
    config.train.steps = 3000
    config.train.num_samples = 4
    config.evaluators = {
        "likelihood": {"name": "likelihood", "num_examples": 200},
        "fidelity": {"name": "sound_fidelity", "num_examples": 64},
        "frechet": {"name": "frechet_audio", "num_examples": 64},
    }
    if large:
        size = {"generator.num_flows": 12, "generator.features": 256, "generator.num_layers": 8}
        config = presets.enlarged(config, size | {"train.steps": 400_000, "train.batch_size": 24})
    return config
