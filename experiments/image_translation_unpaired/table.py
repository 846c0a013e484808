"""Prints the tables of results.jsonl in Markdown: python experiments/image_translation_unpaired/table.py"""

import pathlib

from mmgen_jax.results.lines import FILE, read
from mmgen_jax.results.tables import table

TITLE = "Translation without pairs"
ABOUT = """
CycleGAN between MNIST and scikit-learn's digits, and from grey to coloured photos of clothing. *of the set*: the share
of translations that a classifier of both sets takes for the set that was asked for. *digit kept*: the share whose digit
a classifier of that set recognises as the source's. Colours are measured against the photo's own; *back to grey*: the
grey photo from the coloured one. *with pairs*: the models that are trained on pairs of the same photos, and the
baselines, from the section of translation with pairs.
"""
DIGITS = {
    "to scikit-learn's: of the set ↑": "test/to_small/domain",
    "digit kept ↑": "test/to_small/kept",
    "to MNIST: of the set ↑": "test/to_mnist/domain",
    "digit kept, MNIST ↑": "test/to_mnist/kept",
    "training, processor s": "processor_seconds",
}
COLOUR = {
    "PSNR, dB ↑": "test/error/psnr",
    "SSIM ↑": "test/error/ssim",
    "back to grey: PSNR, dB ↑": "test/back/psnr",
    "Fréchet distance ↓": "test/frechet/frechet_distance",
    "kernel distance ↓": "test/frechet/kernel_distance",
    "training, processor s": "processor_seconds",
}


def beside(folder: pathlib.Path) -> str:
    """What the judges say of real examples, and of sources without a translation."""
    entries = next((line["metrics"] for line in read(folder / FILE) if "test/to_small/kept" in line["metrics"]), {})
    rows = [
        f"{heading.rstrip(' ↑')}: {entries[metric]['reference']:.3f} and {entries[metric]['baseline']:.3f}"
        for heading, metric in DIGITS.items()
        if metric in entries
    ]
    found = "By the judges of the first row, real examples of the target, and sources without a translation"
    return f"{found}: {'; '.join(rows)}." if rows else ""


def tables() -> str:
    folder = pathlib.Path(__file__).parent
    digits = table(folder, DIGITS, lambda label: label.startswith("digits"))
    colour = table(folder, COLOUR, lambda label: label == "colour")
    pairs = table(folder.parent / "image_translation", COLOUR, lambda label: label.startswith("colour"))
    parts = (digits, beside(folder), colour, f"With pairs:\n\n{pairs}")
    return "\n\n".join(part for part in parts if part)


if __name__ == "__main__":
    print(tables())
