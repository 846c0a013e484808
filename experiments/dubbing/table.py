"""Prints the table of results.jsonl in Markdown: python experiments/dubbing/table.py"""

import pathlib

from mmgen_jax.results.tables import table

TITLE = "Dubbing"
ABOUT = """
The sound of 111 silent test clips of one speaker (GRID), drawn from 48 frames of 32 px. Distances are means over clips,
to the true sound; the warped mel distance is that of log-mel frames after dynamic time warping. *word error rate*: of
`pocketsphinx`, an outside recogniser that knows the grammar of the sentences, on the drawn sounds.
"""
FIDELITY = "test/fidelity/"
COLUMNS = {
    "warped mel distance ↓": f"{FIDELITY}warped_mel_distance",
    "envelope correlation ↑": f"{FIDELITY}envelope_correlation",
    "mel-cepstral distortion, dB ↓": f"{FIDELITY}mel_cepstral_distortion",
    "F0 correlation ↑": f"{FIDELITY}f0_correlation",
    "Fréchet audio distance ↓": "test/frechet/frechet_audio_distance",
    "word error rate ↓": "test/errors/word_error_rate",
    "training, processor s": "processor_seconds",
}


def tables() -> str:
    return table(pathlib.Path(__file__).parent, COLUMNS)


if __name__ == "__main__":
    print(tables())
