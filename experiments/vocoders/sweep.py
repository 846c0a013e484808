"""Vocoders from the true log-mel spectrogram, beside Griffin-Lim: spoken digits at 8 kHz, GRID at 16 kHz."""

MODELS = {
    "WaveNet": "configs/vocoder_wavenet.py",
    "WaveGlow": "configs/vocoder_flow.py",
    "Vocos, adversarial": "configs/vocoder_gan.py",
}
BASELINE = "mean recording"
SETS = {"digits": tuple(MODELS), "grid_s1": ("Vocos, adversarial",)}


def cells():
    for data, models in SETS.items():
        baseline = f"{MODELS['Vocos, adversarial']}:{data}"
        yield {"label": f"{data}: {BASELINE}", "config": baseline, "baseline": "mean_example", "seeds": (0,)}
        for model in models:
            yield {"label": f"{data}: {model}", "config": f"{MODELS[model]}:{data}", "seeds": (0,)}
