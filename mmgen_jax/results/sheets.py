"""Sample sheets: what several trained models draw from the same prompts, as one picture."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from mmgen_jax import evaluate
from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.grid import to_uint8
from mmgen_jax.modalities.space import is_picture
from mmgen_jax.results import cells
from mmgen_jax.runs.workdir import restore

FONT_SIZE = 14  # px
LINE = 20  # px, height of the row of titles
GAP = 6  # px, between prompts and between models
SMALLEST = 40  # px, at least, of a picture's height
# Of the built-in world; the last two are pairs of shape and colour that training never shows.
SCENES_PROMPTS = (
    "a small red circle",
    "a large blue star",
    "the big yellow ring",
    "a tiny red square",
    "a cross that is large and magenta",
    "a picture of a small cyan triangle",
    "a large blue circle",
    "the small yellow cross",
)


def prompt_sheet(
    runs: Mapping[str, os.PathLike], prompts: Sequence[str], num: int = 5, seed: int = 0
) -> PIL.Image.Image:
    """A row for each prompt, `num` samples side by side for each model, every pixel a square.

    Args:
      runs: heading to workdir, of models that draw images from a text; other conditions are masked.
      seed: of the models' noise.

    Raises:
      ConfigError: no run or prompt, a workdir that cannot sample, or whose model does not draw images from one
        text.
      TextError: a prompt with a word that a model does not know.
    """
    if not runs or not prompts:
        raise ConfigError(f"prompt_sheet: expected at least one run and one prompt, got {len(runs)} and {len(prompts)}")
    columns = {heading: _drawn(pathlib.Path(workdir), prompts, num, seed) for heading, workdir in runs.items()}
    font = PIL.ImageFont.load_default(FONT_SIZE)
    margin = round(max(map(font.getlength, prompts))) + 2 * GAP
    height = max(pictures.shape[2] for pictures in columns.values())
    widths = {
        heading: max(num * pictures.shape[3], round(font.getlength(heading))) for heading, pictures in columns.items()
    }
    size = margin + sum(widths.values()) + GAP * len(columns), LINE + len(prompts) * (height + GAP)
    sheet = PIL.Image.new("RGB", size, "white")
    draw = PIL.ImageDraw.Draw(sheet)
    for row, prompt in enumerate(prompts):
        draw.text((GAP, LINE + row * (height + GAP) + (height - FONT_SIZE) // 2), prompt, fill="black", font=font)
    x = margin
    for heading, pictures in columns.items():
        draw.text((x, 1), heading, fill="black", font=font)
        for row, drawn in enumerate(pictures):
            line = PIL.Image.fromarray(np.concatenate(list(drawn), axis=1))
            sheet.paste(line, (x, LINE + row * (height + GAP)))
        x += widths[heading] + GAP
    return sheet


def first_runs(sweep_file: os.PathLike, workdir: os.PathLike) -> dict[str, pathlib.Path]:
    """Label to workdir of the first run of every row of a sweep that is trained and measured there.

    Raises:
      ConfigError: there is none.
    """
    runs = {}
    for cell in cells.load(sweep_file):
        folder = pathlib.Path(workdir) / cell.name
        if not (cell.baseline or cell.trained) and cell.label not in runs and (folder / evaluate.FILE).is_file():
            runs[cell.label] = folder
    if not runs:
        raise ConfigError(f"{workdir}: no finished run of {sweep_file}; run mmgen sweep with this workdir first")
    return runs


def write(
    script: str, workdir: os.PathLike, prompts: Sequence[str], num: int = 5, labels: Sequence[str] = ()
) -> pathlib.Path:
    """Writes `samples.png`, in 256 colours, beside an experiment's script: its sweep's `first_runs` in `workdir`.

    Args:
      script: a file of the experiment's folder, where `sweep.py` is.
      labels: of the rows to show; empty: all.

    Raises:
      ConfigError: a label without a finished run; see also `first_runs` and `prompt_sheet`.
    """
    folder = pathlib.Path(script).parent
    runs = first_runs(folder / "sweep.py", workdir)
    if missing := [label for label in labels if label not in runs]:
        raise ConfigError(f"{workdir}: no finished run of {', '.join(missing)}; there is one of {', '.join(runs)}")
    sheet = prompt_sheet({name: run for name, run in runs.items() if not labels or name in labels}, prompts, num)
    sheet.quantize(256, dither=PIL.Image.Dither.NONE).save(folder / "samples.png", optimize=True)
    return folder / "samples.png"


def _drawn(workdir: pathlib.Path, prompts: Sequence[str], num: int, seed: int) -> np.ndarray:
    """`[prompts, num, H, W, 3] uint8`, enlarged."""
    _, system, sampler, _ = restore(workdir)
    texts = {name: known for name in system.conditions if (known := system.modalities[name].tokenizer)}
    if len(texts) != 1 or not is_picture(system.modalities[system.target].space):
        raise ConfigError(f"{workdir}: expected a model that draws images from one text")
    [(text, tokenizer)] = texts.items()
    ids = np.stack([tokenizer.encode(prompt, system.modalities[text].shape[0]) for prompt in prompts])
    sampler.seed = seed
    drawn = to_uint8(sampler({text: np.repeat(ids, num, axis=0)})[system.target])
    factor = -(-SMALLEST // drawn.shape[1])
    drawn = np.broadcast_to(drawn, (*drawn.shape[:3], 3)).repeat(factor, axis=1).repeat(factor, axis=2)
    return drawn.reshape(len(prompts), num, *drawn.shape[1:])
