"""Vocoders of spoken digits at 8 kHz, from their true log-mel spectrogram, beside Griffin-Lim."""

ROWS = {
    "WaveNet": "configs/vocoder_wavenet.py:digits",
    "WaveGlow": "configs/vocoder_flow.py:digits",
    "Vocos, adversarial": "configs/vocoder_gan.py:digits",
}


def cells():
    baseline = ROWS["Vocos, adversarial"]
    yield {"label": "mean recording", "config": baseline, "baseline": "mean_example", "seeds": (0,)}
    for label, config in ROWS.items():
        yield {"label": label, "config": config, "seeds": (0,)}
