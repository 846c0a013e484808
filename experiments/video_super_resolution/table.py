"""Prints the table of results.jsonl in Markdown: python experiments/video_super_resolution/table.py"""

import pathlib

from mmgen_jax.results import cells
from mmgen_jax.results.lines import FILE, read
from mmgen_jax.results.tables import markdown

TITLE = "Super-resolution of clips"
ABOUT = """
The face of GRID's speaker 1 at 48 px (15 frames over 3 s, 111 test clips) and scenes at 32 px (8 frames, 1,000 test
clips), from frames of a half and a quarter of the size. PSNR in dB of the RGB values and SSIM, no border left out,
means over frames and clips. *one frame* is the same network with as many parameters, whose window holds one frame five
times. *bicubic* is Pillow's enlargement of the same small frames.
"""
FOLDER = pathlib.Path(__file__).parent
COLUMNS = {
    "PSNR, dB ↑": "test/error/psnr",
    "SSIM ↑": "test/error/ssim",
    "MSE a frame ↓": "test/error/mse",
    "training, processor s": "processor_seconds",
}


def tables() -> str:
    """The rows of a sweep's cells; below both networks of a factor the enlargement without a model."""
    lines, rows, made = read(FOLDER / FILE), {}, []
    by_hash = {line["config_hash"]: line for line in lines}
    for cell in cells.load(FOLDER / "sweep.py"):
        rows.setdefault(cell.label, []).append(cell.config_hash)
        line = by_hash.get(cell.config_hash)
        if line is None:
            continue
        made.append(line)
        label = f"{cell.label.partition(':')[0]}: bicubic"
        if label not in rows:
            entries = {f"test/error/{name}": beside(line, name) for name in ("psnr", "ssim", "mse")}
            rows[label] = [label]
            made.append(line | {"config_hash": label, "baseline": "bicubic", "metrics": entries})
    return markdown(dict(sorted(rows.items(), key=place)), made, COLUMNS)


def place(row):
    """The order of rows: by data and factor as in the sweep, the enlargement first."""
    data, _, frames = row[0].partition(": ")
    known = ["face ×4", "face ×2", "scenes ×4", "scenes ×2"]
    return known.index(data), ["bicubic", "one frame", "five frames"].index(frames)


def beside(line, name):
    """The entry of the enlargement, which is measured as the model beside it."""
    entry = line["metrics"][f"test/error/{name}"]
    return entry | entry["baselines"]["bicubic"] | {"baselines": {}}


if __name__ == "__main__":
    print(tables())
