"""Samples as files that a person can look at and listen to."""

from __future__ import annotations

import math
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from mmgen_jax.modalities.modality import MASK_SUFFIX, Batch, Modality

SMALLEST_PICTURE = 96  # px of the shorter side; smaller pictures are enlarged by a whole factor
GAP = 6  # px around a cell
FONT_SIZE = 13
LINE_HEIGHT = 16
MOST_LINES = 4  # of a prompt
SPECTROGRAM_FRAME = 256  # samples of one analysis window
SPECTROGRAM_RANGE = 60.0  # dB below the loudest bin that are still visible


def save_samples(
    folder: str | os.PathLike,
    step: int | None,
    samples: Mapping[str, np.ndarray],
    modalities: Mapping[str, Modality],
    prompts: Sequence[str] | None = None,
    conditions: Mapping[str, np.ndarray] | None = None,
) -> list[pathlib.Path]:
    """Writes each sampled modality by its kind and returns the files.

    image  `<step>_<name>.png`: a grid with each picture's prompt under it
    video  `<step>_<name>.gif`: the same, moving
    audio  `<step>_<name>_<i>.wav` (16 bit), and a grid of spectrograms `<step>_<name>.png`
    text   `<step>_<name>.txt`: a line per example, and with conditions that can be seen a grid of them with the text
    label  `<step>_<name>.txt`: a class name per line

    Args:
      folder: made where it does not exist.
      step: starts the file names, as seven digits; None leaves it out.
      samples: `{name: [B, …]}` in the ranges of `modality.py`.
      modalities: of the samples and of the conditions.
      prompts: one text per example.
      conditions: the arrays that were conditioned on; images and videos are shown to the left of the sample.

    Raises:
      ValueError: a sample is not finite.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    prefix = "" if step is None else f"{step:07d}_"
    seen = {
        name: _frames(name, array)
        for name, array in (conditions or {}).items()
        if name in modalities and modalities[name].kind in ("image", "video")
    }
    paths = []
    for name, array in samples.items():
        modality, array = modalities[name], np.asarray(array)
        captions = list(prompts) if prompts is not None else [""] * len(array)
        stem = folder / f"{prefix}{name}"
        if modality.kind in ("text", "label"):
            lines = [_words(modality, value) for value in array]
            paths.append(_write_lines(stem.with_name(stem.name + ".txt"), lines, captions))
            if seen:
                paths.append(_save_grid(stem, seen, lines, frame_rate=0))
            continue
        if modality.kind == "audio":
            paths += [_write_wav(folder / f"{prefix}{name}_{i}.wav", name, x, modality) for i, x in enumerate(array)]
            pictures = np.stack([_spectrogram(x) for x in array])[:, None, :, :, None]
        else:
            pictures = _frames(name, array)
        frame_rate = (modality.frame_rate or 8.0) if modality.kind == "video" else 0
        paths.append(_save_grid(stem, {**seen, name: pictures}, captions, frame_rate))
    return paths


def describe(batch: Batch, modalities: Mapping[str, Modality], i: int) -> str:
    """What example `i` holds of `modalities`, in one line: texts, class names, `[name]` for what cannot be said.

    A masked or absent modality is left out.
    """
    parts = []
    for name, modality in modalities.items():
        if name not in batch or (name + MASK_SUFFIX in batch and not batch[name + MASK_SUFFIX][i]):
            continue
        if modality.kind == "text":
            parts.append(_words(modality, batch[name][i]))
        elif modality.kind == "label":
            parts.append(f"{name} {_words(modality, batch[name][i])}")
        else:
            parts.append(f"[{name}]")
    return ", ".join(parts)


def to_uint8(pixels: np.ndarray) -> np.ndarray:
    """[-1, 1] to [0, 255], rounded; values outside are clipped."""
    return np.round((np.clip(pixels, -1.0, 1.0) + 1.0) * 127.5).astype(np.uint8)


def _words(modality: Modality, value: np.ndarray) -> str:
    if modality.kind == "text":
        return modality.tokenizer.decode(value)
    return modality.classes[int(value)]


def _finite(name: str, array: np.ndarray) -> np.ndarray:
    if not np.isfinite(array).all():
        raise ValueError(f"sample {name!r}: expected finite values, got {np.sum(~np.isfinite(array))} that are not")
    return array


def _frames(name: str, array: np.ndarray) -> np.ndarray:
    """Images `[B, H, W, C]` or videos `[B, T, H, W, C]` to `[B, T, H, W, C] uint8`."""
    array = to_uint8(_finite(name, np.asarray(array)))
    return array if array.ndim == 5 else array[:, None]


def _spectrogram(samples: np.ndarray) -> np.ndarray:
    """Log magnitudes `[96, W] uint8` of a waveform `[S]`, low frequencies at the bottom."""
    hop = SPECTROGRAM_FRAME // 4
    padded = np.pad(samples.astype(np.float64), (SPECTROGRAM_FRAME // 2, SPECTROGRAM_FRAME))
    windows = np.lib.stride_tricks.sliding_window_view(padded, SPECTROGRAM_FRAME)[: len(samples) : hop]
    magnitudes = np.abs(np.fft.rfft(windows * np.hanning(SPECTROGRAM_FRAME)))
    decibels = 20 * np.log10(np.maximum(magnitudes / max(magnitudes.max(), 1e-9), 1e-9))
    picture = to_uint8(decibels.T[::-1] / (SPECTROGRAM_RANGE / 2) + 1)
    return np.asarray(PIL.Image.fromarray(picture).resize((max(picture.shape[1], 128), SMALLEST_PICTURE)))


def _write_wav(path: pathlib.Path, name: str, samples: np.ndarray, modality: Modality) -> pathlib.Path:
    import soundfile

    soundfile.write(path, np.clip(_finite(name, samples), -1, 1), modality.sample_rate, subtype="PCM_16")
    return path


def _write_lines(path: pathlib.Path, lines: list[str], captions: list[str]) -> pathlib.Path:
    """`prompt <tab> sample` a line, or the sample alone where no example has a prompt."""
    rows = [f"{caption}\t{line}" for caption, line in zip(captions, lines)] if any(captions) else lines
    path.write_text("".join(row.replace("\n", "\\n") + "\n" for row in rows), encoding="utf-8")
    return path


def _save_grid(
    stem: pathlib.Path, panels: dict[str, np.ndarray], captions: list[str], frame_rate: float
) -> pathlib.Path:
    """Panels `{name: [B, T, H, W, C] uint8}` of one example side by side, one cell per example.

    Written as an animation where `frame_rate` is positive, else as a picture that shows the middle frame of videos.
    """
    if not frame_rate:
        path = stem.with_name(stem.name + ".png")
        _grid({name: panel[:, panel.shape[1] // 2] for name, panel in panels.items()}, captions).save(path)
        return path
    path = stem.with_name(stem.name + ".gif")
    length = max(panel.shape[1] for panel in panels.values())
    # A shorter video holds its last frame, an image stands still.
    frames = [
        _grid({name: panel[:, min(t, panel.shape[1] - 1)] for name, panel in panels.items()}, captions)
        for t in range(length)
    ]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=round(1000 / frame_rate), loop=0)
    return path


def _grid(panels: dict[str, np.ndarray], captions: list[str]) -> PIL.Image.Image:
    """One sheet of `{name: [B, H, W, C] uint8}`; the panels' names stand over the first row where there are several."""
    font = PIL.ImageFont.load_default(FONT_SIZE)
    pictures = {name: [_enlarged(picture) for picture in panel] for name, panel in panels.items()}
    count = len(next(iter(pictures.values())))
    sizes = {name: column[0].size for name, column in pictures.items()}
    width = sum(w for w, _ in sizes.values()) + 2 * (len(sizes) - 1)
    height = max(h for _, h in sizes.values())
    wrapped = [_wrap(caption, width, font) for caption in captions]
    text_height = LINE_HEIGHT * max(map(len, wrapped))
    header = LINE_HEIGHT if len(panels) > 1 else 0
    columns = min(count, math.ceil(math.sqrt(count * height / width)))  # pictures fill a square
    rows = math.ceil(count / columns)
    cell_width, cell_height = width + GAP, height + text_height + GAP
    sheet = PIL.Image.new("RGB", (columns * cell_width + GAP, rows * cell_height + header + GAP), "white")
    draw = PIL.ImageDraw.Draw(sheet)
    for i in range(count):
        x, y = GAP + i % columns * cell_width, GAP + header + i // columns * cell_height
        for line, text in enumerate(wrapped[i]):
            draw.text((x, y + height + line * LINE_HEIGHT), text, fill="black", font=font)
        for name, column in pictures.items():
            sheet.paste(column[i], (x, y))
            if header and i < columns:
                draw.text((x, y - header - 1), _wrap(name, sizes[name][0], font)[0], fill="gray", font=font)
            x += sizes[name][0] + 2
    return sheet


def _enlarged(picture: np.ndarray) -> PIL.Image.Image:
    """`[H, W, 1 or 3] uint8` as RGB, its shorter side at least `SMALLEST_PICTURE` px, every pixel a square."""
    factor = math.ceil(SMALLEST_PICTURE / min(picture.shape[:2]))
    picture = np.broadcast_to(picture, (*picture.shape[:2], 3))
    return PIL.Image.fromarray(picture.repeat(factor, axis=0).repeat(factor, axis=1))


def _wrap(text: str, width: int, font) -> list[str]:
    """Lines no wider than `width` px, broken at spaces where there are any; what does not fit ends in `…`."""
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}".strip()
        if font.getlength(joined) <= width:
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append("")
        for character in word:
            if font.getlength(lines[-1] + character) > width:
                lines.append("")
            lines[-1] += character
    if len(lines) > MOST_LINES:
        last = lines[MOST_LINES - 1]
        while font.getlength(last + "…") > width:
            last = last[:-1]
        lines = [*lines[: MOST_LINES - 1], last + "…"]
    return lines if text.strip() else []
