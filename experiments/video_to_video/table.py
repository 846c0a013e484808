"""Prints the tables of results.jsonl in Markdown: python experiments/video_to_video/table.py"""

import pathlib

from mmgen_jax.results import cells
from mmgen_jax.results.lines import FILE, read
from mmgen_jax.results.tables import markdown, table

TITLE = "Next frames, and effects of clips"
ABOUT = """
Ten frames of a clip to the next ten: a digit that moves, at 32 px (1,000 test clips), and the face of GRID's speaker 1
at 48 px, 6.7 frames a second (111 test clips). *MSE*: squared error of values in [0, 1],
summed over the pixels and channels of a frame, as OpenSTL has it; the mean of all ten frames, and of one. PSNR in dB
and SSIM are means over all frames. The effects are of 20 frames at 48 px.
"""
FOLDER = pathlib.Path(__file__).parent
HORIZONS = (1, 2, 4, 8, 10)
QUALITY = {"PSNR, dB ↑": "test/error/psnr", "SSIM ↑": "test/error/ssim", "training, processor s": "processor_seconds"}


def tables() -> str:
    parts = [next_frames(data) for data in ("moving digits", "face")]
    effects = {"MSE a frame ↓": "test/error/mse", **QUALITY}
    parts.append(table(FOLDER, effects, lambda label: label.startswith(("colour", "sketch"))))
    return "\n\n".join(parts)


def next_frames(data: str) -> str:
    """One table of a data set: the error of all frames and of some, the first predicted frame being 1."""
    columns = {"MSE a frame ↓": "test/error/mse"}
    columns |= {f"frame {horizon} ↓": f"test/error/mse@{horizon}" for horizon in HORIZONS}
    rows: dict[str, list[str]] = {}
    for cell in cells.load(FOLDER / "sweep.py"):
        if cell.label.startswith(f"{data}:"):
            rows.setdefault(cell.label, []).append(cell.config_hash)
    return markdown(rows, [with_frames(line) for line in read(FOLDER / FILE)], {**columns, **QUALITY})


def with_frames(line):
    """The line, with an entry `mse@t` for each frame t of `HORIZONS`."""
    whole = line["metrics"].get("test/error/mse")
    if whole is None:
        return line
    frames = {t: whole["by_frame"][t - 1] for t in HORIZONS if t <= whole["frames"]}
    return line | {"metrics": line["metrics"] | {f"test/error/mse@{t}": whole | frame for t, frame in frames.items()}}


if __name__ == "__main__":
    print(tables())
