"""Prints the tables of results.jsonl in Markdown: python experiments/vgan/table.py"""

import pathlib

from mmgen_jax.results.tables import table

TITLE = "V-GAN: a picture from a clip and a reference"
ABOUT = """
A GAN draws a picture from a clip, a reference picture, or both. Digits, 32 px: the reference's digit where the moving
digit of the clip will be; PSNR in dB and SSIM of 1,000 test pictures, the share in which the judge recognises the
reference's class, in which the centre of ink is within 2 px of the true one, and both. Chance is 0.107 (class), 0.144
(place), 0.013 (both). grid_s1, 48 px: the middle frame of a recording from the 6 frames before it and the last frame;
111 test recordings. *last frame* copies the last frame of the clip, *mean example* is the mean training picture. Rows
with a fusion have both inputs.
"""
FOLDER = pathlib.Path(__file__).parent
FIDELITY = {"PSNR, dB ↑": "test/error/psnr", "SSIM ↑": "test/error/ssim"}
COLUMNS = {
    "digits": FIDELITY
    | {
        "class ↑": "test/coherence/class",
        "place ↑": "test/coherence/place",
        "class and place ↑": "test/coherence/both",
        "training, processor s": "processor_seconds",
    },
    "grid_s1": FIDELITY
    | {"Fréchet distance ↓": "test/frechet/frechet_distance", "training, processor s": "processor_seconds"},
}


def tables() -> str:
    parts = (
        table(FOLDER, columns, lambda label, data=data: label.startswith(data)) for data, columns in COLUMNS.items()
    )
    return "\n\n".join(parts)


if __name__ == "__main__":
    print(tables())
