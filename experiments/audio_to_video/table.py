"""Prints the tables of results.jsonl in Markdown: python experiments/audio_to_video/table.py"""

import pathlib

from mmgen_jax.results.lines import FILE, read
from mmgen_jax.results.tables import table

TITLE = "Clips from sounds"
ABOUT = """
A conditional VAE draws a clip from a sound. digits: the share of clips in which the spoken digit is recognised, of
1,000 test examples; scenes: the share in which all that the sound tells is right. The Fréchet distance of clips is in
features that see the order of frames (`mmgen_jax/evaluators/video_frechet.py`); it is not FVD. *class matched* and
*training examples* are real clips of the training split, with the right digit and with any.
"""
FOLDER = pathlib.Path(__file__).parent
DISTANCE = "test/frechet/frechet_distance"
COLUMNS = {
    "digits": {"recognised ↑": "test/accuracy/accuracy"},
    "scenes": {"all right ↑": "test/coherence/all"},
    "grid_s1": {},
}
SHARED = {"clip Fréchet distance ↓": DISTANCE, "training, processor s": "processor_seconds"}


def tables() -> str:
    parts = []
    for data, columns in COLUMNS.items():
        parts.append(table(FOLDER, columns | SHARED, lambda label, data=data: label.startswith(data)))
        parts += controls(data)
    return "\n\n".join(parts)


def controls(data: str) -> list[str]:
    """A line with the distances of real and spoilt clips, from the newest line of a data set; [] without a line."""
    entries = [
        line["metrics"][DISTANCE]
        for line in read(FOLDER / FILE)
        if line["config"].endswith(f":{data}") and DISTANCE in line["metrics"]
    ]
    if not entries:
        return []
    entry = entries[-1]
    beside = {
        f"two halves of the real clips (n = {entry['reference_n']} each)": entry["reference"],
        **entry["controls"],
    }
    said = ", ".join(f"{name} {value:.3g}" for name, value in beside.items())
    return [f"{data}, clips of {entry['num_frames']} frames, n = {entry['n']}. Distances without a model: {said}."]


if __name__ == "__main__":
    print(tables())
