"""Prints the tables of results.jsonl in Markdown: python experiments/text_to_video/table.py"""

import pathlib

from mmgen_jax.results.tables import table

TITLE = "Clips from captions and from noise"
ABOUT = """
Clips of 8 frames at 32 px. digits: the share of clips in which the digit of the caption is recognised; scenes: the
share in which shape, colour and size are right. The Fréchet distance of clips is in features that see the order of
frames (`mmgen_jax/evaluators/video_frechet.py`); it is not FVD. *class matched* and *training examples* are real clips
of the training split, with the right digit and with any. A model from noise has no caption to be right about.
"""
FOLDER = pathlib.Path(__file__).parent
COLUMNS = {
    "digits": {"recognised ↑": "test/accuracy/accuracy"},
    "scenes": {"all right ↑": "test/coherence/all"},
}
SHARED = {
    "clip Fréchet distance ↓": "test/frechet/frechet_distance",
    "training, processor s": "processor_seconds",
}


def tables() -> str:
    of = lambda data: table(FOLDER, COLUMNS[data] | SHARED, lambda label: label.startswith(data))  # noqa: E731
    return "\n\n".join(map(of, COLUMNS))


if __name__ == "__main__":
    print(tables())
