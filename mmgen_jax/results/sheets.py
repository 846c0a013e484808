"""Sample sheets: one picture with the samples of several trained models for the same prompts or examples.

An image is shown as it is, a clip as a contact sheet (frames side by side), a sound as its spectrogram.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import PIL.Image

from mmgen_jax import evaluate
from mmgen_jax.config.system import open_source
from mmgen_jax.errors import ConfigError
from mmgen_jax.evaluators.measures import examples
from mmgen_jax.modalities import fonts
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.results import cells
from mmgen_jax.runs import data
from mmgen_jax.runs.workdir import restore

FONT_SIZE = 14  # px
LINE = 20  # px, height of the row of titles
GAP = 6  # px, between prompts and between models
CANDIDATES = 100  # examples of which the worst are shown
SMALLEST = 40  # px; smaller pictures are enlarged by a whole factor to at least this height
MAX_FRAMES = 4  # of a clip, evenly spaced
# Prompts of the scenes world; the last two have pairs of shape and colour that the training split lacks.
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
    """A sheet with a row for each prompt and, in the row, `num` samples of each model side by side.

    Args:
      runs: `{heading: workdir}` of models that draw from exactly one text; other conditions are masked.
      num: samples for each prompt and model.
      seed: of the models' noise.

    Raises:
      ConfigError: no run or prompt, a workdir that cannot sample, or a model that does not draw from exactly one
        text.
      TextError: a prompt with a word that a model does not know.
    """
    if not runs or not prompts:
        raise ConfigError(f"prompt_sheet: expected at least one run and one prompt, got {len(runs)} and {len(prompts)}")
    columns = {heading: _drawn(pathlib.Path(workdir), prompts, num, seed) for heading, workdir in runs.items()}
    fonts.check([*prompts, *runs])
    margin = round(max(fonts.length(prompt, FONT_SIZE) for prompt in prompts)) + 2 * GAP
    height = max(pictures.shape[2] for pictures in columns.values())
    widths = {
        heading: max(num * pictures.shape[3], round(fonts.length(heading, FONT_SIZE)))
        for heading, pictures in columns.items()
    }
    size = margin + sum(widths.values()) + GAP * len(columns), LINE + len(prompts) * (height + GAP)
    sheet = PIL.Image.new("RGB", size, "white")
    for row, prompt in enumerate(prompts):
        place = GAP, LINE + row * (height + GAP) + (height - FONT_SIZE) // 2
        fonts.draw(sheet, place, prompt, "black", FONT_SIZE)
    x = margin
    for heading, pictures in columns.items():
        fonts.draw(sheet, (x, 1), heading, "black", FONT_SIZE)
        for row, drawn in enumerate(pictures):
            line = PIL.Image.fromarray(np.concatenate(list(drawn), axis=1))
            sheet.paste(line, (x, LINE + row * (height + GAP)))
        x += widths[heading] + GAP
    return sheet


def example_sheet(
    runs: Mapping[str, tuple[os.PathLike, Mapping[str, Any]]],
    given: Sequence[str],
    target: str,
    num: int = 6,
    worst: int = 2,
    truth: bool = True,
    split: str = "test",
) -> PIL.Image.Image:
    """A sheet with a row for each example: the given conditions, the picture of each model, and the truth.

    The rows are the first examples in the order in which evaluators read the split. After a gap follow the examples
    with the largest errors of the first model, so that its failures are seen.

    Args:
      runs: `{heading: (workdir, changes)}` of models that read the same data; `changes` as in `runs.workdir.restore`.
      given: conditions to show; those that are targets of the model are also given to it.
      target: the modality to draw.
      num: rows of the first examples.
      worst: rows with the largest mean squared error of the first model, among the first `CANDIDATES` examples.
      truth: whether the last column is the example's own target; False where this target is not the correct output.
      split: of the data.

    Raises:
      ConfigError: no run, a workdir that cannot sample, or data that is no longer that of its run.
    """
    if not runs:
        raise ConfigError("example_sheet: expected at least one run, got none")
    opened = {heading: restore(workdir, changes=changes) for heading, (workdir, changes) in runs.items()}
    for heading, (workdir, _) in runs.items():
        data.check(pathlib.Path(os.path.expanduser(workdir)), opened[heading][0])
    config, system, *_ = next(iter(opened.values()))
    source = open_source(config, split)
    rows = examples.order(len(source))[:CANDIDATES]
    batch = source.read(rows, np.zeros(len(rows), np.int64))
    own = tuple(name for name in given if name in system.targets)
    drawn: dict[str, np.ndarray] = {}
    for heading, (_, _, sampler, _) in opened.items():
        few = batch if worst and not drawn else {name: array[:num] for name, array in batch.items()}
        drawn[heading] = np.asarray(sampler(few, given=own)[target])
        if worst and len(drawn) == 1:
            error = np.square(drawn[heading] - batch[target]).reshape(len(rows), -1).mean(1)
            chosen = np.concatenate([np.arange(num), num + np.argsort(-error[num:], kind="stable")[:worst]])
            batch = {name: array[chosen] for name, array in batch.items()}
            drawn[heading], num = drawn[heading][chosen], len(chosen)
    columns = {name: (name, batch[name]) for name in given} | {name: (target, array) for name, array in drawn.items()}
    columns |= {"truth": (target, batch[target])} if truth else {}
    seen = {title: _pixels(system.modalities[of], of, x[:num], title) for title, (of, x) in columns.items()}
    return _columns(seen, worst)


def _columns(columns: Mapping[str, np.ndarray], worst: int) -> PIL.Image.Image:
    """Pictures `[N, H, W, 3] uint8`, one column for each heading, the last `worst` rows a little apart."""
    fonts.check(list(columns))
    height = max(array.shape[1] for array in columns.values())
    height *= -(-SMALLEST // height)
    pictures = [array.repeat(n := height // array.shape[1], 1).repeat(n, 2) for array in columns.values()]
    widths = [max(x.shape[2], round(fonts.length(title, FONT_SIZE))) + GAP for title, x in zip(columns, pictures)]
    num = len(pictures[0])
    apart = LINE if 0 < worst < num else 0
    sheet = PIL.Image.new("RGB", (GAP + sum(widths), LINE + num * (height + GAP) + apart), "white")
    for title, column, x in zip(columns, pictures, np.cumsum([GAP, *widths])):
        fonts.draw(sheet, (int(x), 1), title, "black", FONT_SIZE)
        for row, picture in enumerate(column):
            y = LINE + row * (height + GAP) + (apart if row >= num - worst else 0)
            sheet.paste(PIL.Image.fromarray(picture), (int(x), y))
    return sheet


def stack(sheets: Mapping[str, PIL.Image.Image], beside: bool = False) -> PIL.Image.Image:
    """Sheets below each other, each under its heading; with `beside`, side by side.

    Raises:
      ConfigError: no sheet.
    """
    if not sheets:
        raise ConfigError("stack: expected at least one sheet, got none")
    widths = [max(sheet.width, GAP + round(fonts.length(title, FONT_SIZE))) for title, sheet in sheets.items()]
    heights = [LINE + GAP + sheet.height for sheet in sheets.values()]
    size = (sum(widths), max(heights)) if beside else (max(widths), sum(heights))
    whole, place = PIL.Image.new("RGB", size, "white"), 0
    for (title, sheet), width, height in zip(sheets.items(), widths, heights):
        x, y = (place, 0) if beside else (0, place)
        fonts.draw(whole, (x + GAP, y + GAP), title, "black", FONT_SIZE)
        whole.paste(sheet, (x, y + GAP + LINE))
        place += width if beside else height
    return whole


def first_runs(sweep_file: os.PathLike, workdir: os.PathLike) -> dict[str, pathlib.Path]:
    """`{label: workdir}`: for every row of a sweep, its first run that is trained and evaluated in `workdir`.

    Raises:
      ConfigError: no run of the sweep is finished there.
    """
    runs = {}
    for cell in cells.load(sweep_file):
        folder = pathlib.Path(os.path.expanduser(workdir)) / cell.name
        if not (cell.baseline or cell.trained) and cell.label not in runs and (folder / evaluate.FILE).is_file():
            runs[cell.label] = folder
    if not runs:
        raise ConfigError(f"{workdir}: no finished run of {sweep_file}; run mmgen sweep with this workdir first")
    return runs


def write(
    script: str, workdir: os.PathLike, prompts: Sequence[str], num: int = 5, labels: Sequence[str] = ()
) -> pathlib.Path:
    """Writes the `prompt_sheet` of a sweep's `first_runs` as `samples.png`, in 256 colours; returns its path.

    Args:
      script: a file of the experiment's folder, which holds `sweep.py` and gets `samples.png`.
      workdir: of the sweep.
      num: samples for each prompt and model.
      labels: the rows of the sweep to show; empty: all.

    Raises:
      ConfigError: a label without a finished run; see also `first_runs` and `prompt_sheet`.
    """
    folder = pathlib.Path(script).parent
    runs = first_runs(folder / "sweep.py", workdir)
    if missing := [label for label in labels if label not in runs]:
        raise ConfigError(f"{workdir}: no finished run of {', '.join(missing)}; there is one of {', '.join(runs)}")
    sheet = prompt_sheet({name: run for name, run in runs.items() if not labels or name in labels}, prompts, num)
    return save(sheet, folder)


def save(sheet: PIL.Image.Image, folder: pathlib.Path, name: str = "samples") -> pathlib.Path:
    """Writes a sheet as `<name>.png` of a folder, in 256 colours; returns its path."""
    path = folder / f"{name}.png"
    sheet.quantize(256, dither=PIL.Image.Dither.NONE).save(path, optimize=True)
    return path


def _drawn(workdir: pathlib.Path, prompts: Sequence[str], num: int, seed: int) -> np.ndarray:
    """Samples `[prompts, num, H, W, 3] uint8` of the run in `workdir`, enlarged to at least `SMALLEST` px of height."""
    _, system, sampler, _ = restore(workdir)
    texts = {name: known for name in system.conditions if (known := system.modalities[name].tokenizer)}
    if len(texts) != 1:
        raise ConfigError(f"{workdir}: expected a model that draws from one text, got {len(texts)} texts")
    [(text, tokenizer)] = texts.items()
    ids = np.stack([tokenizer.encode(prompt, system.modalities[text].shape[0]) for prompt in prompts])
    sampler.seed = seed
    name = system.target
    drawn = _pixels(system.modalities[name], name, sampler({text: np.repeat(ids, num, axis=0)})[name], workdir)
    factor = -(-SMALLEST // drawn.shape[1])
    drawn = drawn.repeat(factor, axis=1).repeat(factor, axis=2)
    return drawn.reshape(len(prompts), num, *drawn.shape[1:])


def _pixels(modality: Modality, name: str, values: np.ndarray, where: object) -> np.ndarray:
    """`[N, H, W, 3] uint8` of a modality's arrays; a clip's frames are side by side."""
    frames = modality.traits.frames(name, values)
    if frames is None:
        raise ConfigError(f"{where}: expected a model that draws what can be seen, got {name!r}")
    shown = np.linspace(0, frames.shape[1] - 1, min(MAX_FRAMES, frames.shape[1])).round().astype(int)
    drawn = np.concatenate([frames[:, i] for i in shown], axis=2)
    return np.broadcast_to(drawn, (*drawn.shape[:3], 3))
