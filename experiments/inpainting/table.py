"""Prints the tables of results.jsonl in Markdown: python experiments/inpainting/table.py"""

import pathlib

from mmgen_jax.results import cells
from mmgen_jax.results.lines import FILE, read
from mmgen_jax.results.tables import markdown

TITLE = "Completion of pictures"
ABOUT = """
PSNR in the hole, in dB, of squares in the middle and of random strokes over 15 % of the picture at least; means over
test pictures. Clothing at 64 px: squares of 16, 24 and 32 px. Digits at 28 px: squares of 7, 10 and 14 px, and the
share of digits that a judge still recognises after the largest. *biharmonic* and *mean colour* need no training; they
stand once for each data set.
"""
FOLDER = pathlib.Path(__file__).parent
SQUARES = {"clothing": (16, 24, 32), "digits": (7, 10, 14)}


def tables() -> str:
    lines, parts = read(FOLDER / FILE), []
    for data, sides in SQUARES.items():
        columns = {f"{side} px ↑": f"test/completion/psnr_box_{side}" for side in sides}
        columns |= {"strokes ↑": "test/completion/psnr_strokes"}
        columns |= {f"SSIM, {sides[-1]} px ↑": f"test/completion/ssim_box_{sides[-1]}"}
        if data == "digits":
            columns |= {f"recognised, {sides[-1]} px ↑": f"test/completion/accuracy_box_{sides[-1]}"}
        else:
            columns |= {"Fréchet distance ↓": "test/frechet/frechet_distance"}
        columns |= {"training, processor s": "processor_seconds"}
        rows, made = {}, []
        for cell in cells.load(FOLDER / "sweep.py"):
            if cell.label.startswith(data):
                rows.setdefault(cell.label, []).append(cell.config_hash)
                made += [line for line in lines if line["config_hash"] == cell.config_hash]
        if made:
            for name in ("biharmonic", "mean_colour"):
                label = f"{data}: {name.replace('_', ' ')}"
                rows[label] = [label]
                made.append(baseline(made[0], label, name))
        parts.append(markdown(rows, made, columns))
    return "\n\n".join(parts)


def baseline(line, label, name):
    """The line of a completion that needs no model, from the entries of a model's line."""
    found = {metric: e | e["baselines"][name] for metric, e in line["metrics"].items() if e.get("baselines")}
    return line | {"config_hash": label, "baseline": name, "metrics": found}


if __name__ == "__main__":
    print(tables())
