"""Prints the tables of results.jsonl in Markdown: python experiments/vocoders/table.py"""

import pathlib

from mmgen_jax.results import cells
from mmgen_jax.results.lines import FILE, read
from mmgen_jax.results.tables import markdown

TITLE = "Vocoders"
ABOUT = """
Spoken digits at 8 kHz from their true log-mel spectrogram of 80 bands: recordings of the test split, one sample each,
means over recordings. *Griffin-Lim* inverts the same spectrograms without training; *another recording* is the true
sound of another example, what a vocoder that ignores its spectrogram could give. *bits* are those of the mu-law code of
one sample, padding left out; 8 of a uniform code.
"""
FOLDER = pathlib.Path(__file__).parent
FIDELITY = "test/fidelity/"
COLUMNS = {
    "log-spectral distance, dB ↓": f"{FIDELITY}log_spectral_distance",
    "mel-cepstral distortion, dB ↓": f"{FIDELITY}mel_cepstral_distortion",
    "envelope correlation ↑": f"{FIDELITY}envelope_correlation",
    "F0 correlation ↑": f"{FIDELITY}f0_correlation",
    "Fréchet audio distance ↓": "test/frechet/frechet_audio_distance",
    "bits per sample ↓": "test/bits/bits",
    "training, processor s": "processor_seconds",
}
BASELINES = {"griffin_lim": "Griffin-Lim", "shuffled": "another recording"}


def tables() -> str:
    """The rows of the sweep's cells; the baselines of the first row that has a line come last."""
    lines, rows, made = read(FOLDER / FILE), {}, []
    for cell in cells.load(FOLDER / "sweep.py"):
        rows[cell.label] = [cell.config_hash]
        made += [line for line in lines if line["config_hash"] == cell.config_hash][-1:]
    for name, label in BASELINES.items() if made else ():
        line = made[0]
        metrics = {
            key: entry | entry["baselines"][name] | {"baselines": {}}
            for key, entry in line["metrics"].items()
            if name in entry.get("baselines", {})
        }
        rows[label] = [label]
        made.append(line | {"config_hash": label, "baseline": name, "metrics": metrics})
    return markdown(rows, made, COLUMNS)


if __name__ == "__main__":
    print(tables())
