"""Prints the tables of results.jsonl in Markdown: python experiments/image_restoration/table.py"""

import pathlib

from mmgen_jax.results import lines
from mmgen_jax.results.tables import with_baselines

TITLE = "Restoration of pictures"
ABOUT = """
The 372 test photos of `clothing` at 64 px, degraded and restored: PSNR in dB of the RGB values and SSIM, no border left
out, means over photos. Under each model stand the methods that need no training, on the same degraded photos; those
with settings were set on 60 of the test photos, which favours them. Last table: photos of a camera, degraded in the
same way and rounded to 8 bits, restored at their own size by the same models, and by the method in parentheses: PSNR in
dB.
"""
KEYS = ("model", "method", "degraded")
COLUMNS = {
    "PSNR, dB ↑": "test/error/psnr",
    "SSIM ↑": "test/error/ssim",
    "Fréchet distance ↓": "test/frechet/frechet_distance",
    "training, processor s": "processor_seconds",
}


def tables() -> str:
    folder = pathlib.Path(__file__).parent
    return "\n\n".join(filter(None, (with_baselines(folder, COLUMNS), photos(folder / "photos.jsonl"))))


def photos(path: pathlib.Path) -> str:
    """The table of the photos of a camera, from the newest line of each model; "" without lines."""
    newest = {line["label"]: line for line in lines.read(path)} if path.exists() else {}
    rows = [
        [f"{label} ({line['method']})", name, *(f"{found[k]:.2f}" if k in found else "–" for k in KEYS), line["commit"]]
        for label, line in newest.items()
        for name, found in line["metrics"].items()
    ]
    head = ["", "photo", "model", "method", "as it is", "commit"]
    table = [head, ["---", "---", "---:", "---:", "---:", "---:"], *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in table) if rows else ""


if __name__ == "__main__":
    print(tables())
