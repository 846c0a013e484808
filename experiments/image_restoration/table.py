"""Prints the tables of results.jsonl in Markdown: python experiments/image_restoration/table.py"""

import pathlib

from mmgen_jax.results import cells
from mmgen_jax.results.lines import FILE, read
from mmgen_jax.results.tables import markdown

TITLE = "Restoration of pictures"
ABOUT = """
The 372 test photos of `clothing` at 64 px, degraded and restored: PSNR in dB of the RGB values and SSIM, no border left
out, means over photos. Under each model stand the methods that need no training, on the same degraded photos; those
with settings were set on 60 of the test photos, which favours them.
"""
FOLDER = pathlib.Path(__file__).parent
COLUMNS = {
    "PSNR, dB ↑": "test/error/psnr",
    "SSIM ↑": "test/error/ssim",
    "Fréchet distance ↓": "test/frechet/frechet_distance",
    "training, processor s": "processor_seconds",
}


def tables() -> str:
    """The rows of a sweep's cells, each above its baselines."""
    lines, rows = read(FOLDER / FILE), {}
    made = []
    for cell in cells.load(FOLDER / "sweep.py"):
        line = next((line for line in lines if line["config_hash"] == cell.config_hash), None)
        rows[cell.label] = [cell.config_hash]
        if line is None:
            continue
        made.append(line)
        psnr, ssim = (line["metrics"][f"test/error/{metric}"] for metric in ("psnr", "ssim"))
        for name in psnr["baselines"]:
            label = f"{cell.label}: {name.replace('_', ' ')}"
            metrics = {f"test/error/{key}": beside(of, name) for key, of in (("psnr", psnr), ("ssim", ssim))}
            rows[label] = [label]
            made.append(line | {"config_hash": label, "baseline": name, "metrics": metrics})
    return markdown(rows, made, COLUMNS)


def beside(entry, name):
    """The entry of a baseline, which is measured as the model beside it; `how` it was computed is left out."""
    return entry | entry["baselines"][name] | {"baselines": {}, "how": ""}


if __name__ == "__main__":
    print(tables())
