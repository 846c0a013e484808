"""Prints the table of results.jsonl in Markdown: python experiments/text_to_image_families/table.py"""

import pathlib

from mmgen_jax.results.tables import table

TITLE = "Families of text to image on equal terms"
ABOUT = """
Scenes of 16 px from text, then from text and sound, judged as the scenes of 32 px. The four families from text have
the same text encoder and data, 0.38 to 0.40 M parameters, and numbers of steps chosen for a minute and a half on an
idle core (the cores of some runs did other work too). With sound, the number of steps is the same as from text.
"""
COLUMNS = {
    "shape ↑": "test/coherence/shape",
    "color ↑": "test/coherence/color",
    "size ↑": "test/coherence/size",
    "all ↑": "test/coherence/all",
    "all, compositional ↑": "compositional/coherence/all",
    "shape, compositional ↑": "compositional/coherence/shape",
    "training, processor s": "processor_seconds",
}


def tables() -> str:
    return table(pathlib.Path(__file__).parent, COLUMNS)


if __name__ == "__main__":
    print(tables())
