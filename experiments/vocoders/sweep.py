"""Vocoders of spoken digits at 8 kHz, from their true log-mel spectrogram, beside Griffin-Lim.

The number of steps is what one CPU core does in a few minutes; the configs' own numbers are several times larger.
"""

ROWS = {
    "WaveNet, 400 steps": ("configs/vocoder_wavenet.py:digits", {"train.steps": 400, "train.batch_size": 8}),
}


def cells():
    for label, (config, overrides) in ROWS.items():
        yield {"label": label, "config": config, "overrides": overrides, "seeds": (0,)}
