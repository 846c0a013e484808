"""Prints the tables of results.jsonl in Markdown: python experiments/vocoders/table.py"""

import pathlib

from mmgen_jax.results import cells
from mmgen_jax.results.lines import FILE, read
from mmgen_jax.results.tables import markdown

TITLE = "Vocoders"
ABOUT = """
Spoken digits at 8 kHz (64 recordings of the test split) and sentences of GRID's speaker 1 at 16 kHz (64 clips), from
their true log-mel spectrogram of 80 bands; one sample each, means over recordings. *Griffin-Lim* inverts the same
spectrograms without training; *another recording* is the true sound of another example, what a vocoder that ignores
its spectrogram could give. *bits* are those of the mu-law code of one sample, padding left out; 8 of a uniform code.
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
HEADINGS = {"digits": "Spoken digits", "grid_s1": "GRID"}
BASELINES = {"griffin_lim": "Griffin-Lim", "shuffled": "another recording"}


def tables() -> str:
    """A table for each data set."""
    by_set: dict[str, list] = {}
    for cell in cells.load(FOLDER / "sweep.py"):
        by_set.setdefault(cell.label.partition(": ")[0], []).append(cell)
    return "\n\n".join(f"{HEADINGS[data]}\n\n{table(found)}" for data, found in by_set.items())


def table(found) -> str:
    """The rows of a set's cells; what the first row with a line was measured beside comes last."""
    lines, rows, made = read(FOLDER / FILE), {}, []
    for cell in found:
        rows[cell.label.partition(": ")[2]] = [cell.config_hash]
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
