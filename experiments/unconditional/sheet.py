"""Draws samples.png, the last samples of each model's first run: python experiments/unconditional/sheet.py WORKDIR"""

import pathlib
import sys

import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from mmgen_jax import sheets

TITLE = 24  # px


def draw(folder: pathlib.Path, workdir: pathlib.Path) -> pathlib.Path:
    runs = {
        label: run for label, run in sheets.first_runs(folder / "sweep.py", workdir).items() if "64 px" not in label
    }
    grids = {
        label: PIL.Image.open(max((run / "samples").glob("*_image.png"))).convert("L") for label, run in runs.items()
    }
    sheet = PIL.Image.new(
        "L", (sum(g.width for g in grids.values()), TITLE + max(g.height for g in grids.values())), 255
    )
    x, font = 0, PIL.ImageFont.load_default(16)
    for label, grid in grids.items():
        PIL.ImageDraw.Draw(sheet).text((x + 6, 4), label, fill=0, font=font)
        sheet.paste(grid, (x, TITLE))
        x += grid.width
    sheet.save(folder / "samples.png", optimize=True)
    return folder / "samples.png"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print(draw(pathlib.Path(__file__).parent, pathlib.Path(sys.argv[1])))
