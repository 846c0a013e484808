"""Draws the last samples of each model's first run side by side: python experiments/unconditional/sheet.py WORKDIR

Writes digits.png, clothing.png and digits_64.png, each with the models that have a finished run in WORKDIR.
"""

import pathlib
import sys

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from mmgen_jax.results import sheets

TITLE = 24  # px
ROWS = {
    "digits": ("GAN", "VAE", "autoencoder"),
    "clothing": ("clothing, GAN", "clothing, VAE", "clothing, autoencoder"),
    "digits_64": ("GAN, 64 px",),
}


def draw(path: pathlib.Path, runs: dict[str, pathlib.Path]) -> pathlib.Path:
    grids = {label: PIL.Image.open(max((run / "samples").glob("*_image.png"))) for label, run in runs.items()}
    size = sum(grid.width for grid in grids.values()), TITLE + max(grid.height for grid in grids.values())
    sheet, font, x = PIL.Image.new("RGB", size, "white"), PIL.ImageFont.load_default(16), 0
    for label, grid in grids.items():
        PIL.ImageDraw.Draw(sheet).text((x + 6, 4), label, fill="black", font=font)
        sheet.paste(grid.convert("RGB"), (x, TITLE))
        x += grid.width
    sheet.quantize(256).save(path, optimize=True)
    return path


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(__file__).parent
    runs = sheets.first_runs(folder / "sweep.py", sys.argv[1])
    for name, labels in ROWS.items():
        if shown := {label: runs[label] for label in labels if label in runs}:
            print(draw(folder / f"{name}.png", shown))
