"""A sheet of pictures or clips, one cell for each example, with the example's caption under its picture."""

from __future__ import annotations

import math
import pathlib
from typing import TYPE_CHECKING

import numpy as np

from mmgen_jax.modalities import animation, fonts

if TYPE_CHECKING:
    import PIL.Image

MIN_PICTURE = 96  # px of the shorter side; smaller pictures are enlarged by a whole factor
GAP = 6  # px around a cell
FONT_SIZE = 13  # px
LINE_HEIGHT = 16  # px
MAX_LINES = 4  # of a caption
MAX_ROWS, MAX_FRAMES = 8, 8  # of a contact sheet


def to_uint8(pixels: np.ndarray) -> np.ndarray:
    """Pixels in [-1, 1] as uint8 in [0, 255], rounded; values outside [-1, 1] are clipped."""
    return np.round((np.clip(pixels, -1.0, 1.0) + 1.0) * 127.5).astype(np.uint8)


def save_grid(
    stem: pathlib.Path, panels: dict[str, np.ndarray], captions: list[str], frame_rate: float = 0
) -> list[pathlib.Path]:
    """Writes a sheet with one cell for each of B examples; a cell shows the example's panels side by side.

    Args:
      stem: path of the file without its suffix.
      panels: `{name: [B, T, H, W, C] uint8}`; an image is a panel with T = 1.
      captions: B texts.
      frame_rate: in frames per second. Above 0: the sheet is an animation, see `animation.save`. 0: the sheet is a
        picture (`.png`) with the middle frame of each video.
    """
    if not frame_rate:
        path = stem.with_name(stem.name + ".png")
        _grid({name: panel[:, panel.shape[1] // 2] for name, panel in panels.items()}, captions).save(path)
        return [path]
    length = max(panel.shape[1] for panel in panels.values())
    # A shorter video repeats its last frame; an image is shown in every frame.
    frames = [
        _grid({name: panel[:, min(t, panel.shape[1] - 1)] for name, panel in panels.items()}, captions)
        for t in range(length)
    ]
    return animation.save(stem, frames, frame_rate)


def save_contact_sheet(stem: pathlib.Path, panels: dict[str, np.ndarray], captions: list[str]) -> pathlib.Path:
    """Writes `<stem>_frames.png`: for each of the first `MAX_ROWS` examples its frames, time from left to right.

    Arguments as of `save_grid`. Of a longer clip, `MAX_FRAMES` frames at equal distances are shown, the first and the
    last among them; a white line of one pixel separates frames.
    """
    path = stem.with_name(stem.name + "_frames.png")
    _grid({name: _strips(panel[:MAX_ROWS]) for name, panel in panels.items()}, captions[:MAX_ROWS]).save(path)
    return path


def _strips(clips: np.ndarray) -> np.ndarray:
    """Clips `[B, T, H, W, C] uint8` as pictures `[B, H, W', C]` with the frames side by side."""
    num = clips.shape[1]
    shown = np.linspace(0, num - 1, min(MAX_FRAMES, num)).round().astype(int)
    frames = np.pad(clips[:, shown], ((0, 0), (0, 0), (0, 0), (0, 1), (0, 0)), constant_values=255)
    return np.concatenate(list(np.moveaxis(frames, 1, 0)), axis=2)[:, :, :-1]


def _grid(panels: dict[str, np.ndarray], captions: list[str]) -> PIL.Image.Image:
    """A sheet of `{name: [B, H, W, C] uint8}`; with several panels, their names stand above the first row."""
    import PIL.Image

    fonts.check([*captions, *panels])
    pictures = {name: [_enlarged(picture) for picture in panel] for name, panel in panels.items()}
    count = len(next(iter(pictures.values())))
    sizes = {name: column[0].size for name, column in pictures.items()}
    width = sum(w for w, _ in sizes.values()) + 2 * (len(sizes) - 1)
    height = max(h for _, h in sizes.values())
    wrapped = [_wrap(caption, width) for caption in captions]
    text_height = LINE_HEIGHT * max(map(len, wrapped))
    header = LINE_HEIGHT if len(panels) > 1 else 0
    columns = min(count, math.ceil(math.sqrt(count * height / width)))  # so that the sheet is about square
    rows = math.ceil(count / columns)
    cell_width, cell_height = width + GAP, height + text_height + GAP
    sheet = PIL.Image.new("RGB", (columns * cell_width + GAP, rows * cell_height + header + GAP), "white")
    for i in range(count):
        x, y = GAP + i % columns * cell_width, GAP + header + i // columns * cell_height
        for line, text in enumerate(wrapped[i]):
            fonts.draw(sheet, (x, y + height + line * LINE_HEIGHT), text, "black", FONT_SIZE)
        for name, column in pictures.items():
            sheet.paste(column[i], (x, y))
            if header and i < columns:
                fonts.draw(sheet, (x, y - header - 1), _wrap(name, sizes[name][0])[0], "gray", FONT_SIZE)
            x += sizes[name][0] + 2
    return sheet


def _enlarged(picture: np.ndarray) -> PIL.Image.Image:
    """`[H, W, 1 or 3] uint8` as RGB, enlarged by a whole factor so that no side is below `MIN_PICTURE` px."""
    import PIL.Image

    factor = math.ceil(MIN_PICTURE / min(picture.shape[:2]))
    picture = np.broadcast_to(picture, (*picture.shape[:2], 3))
    return PIL.Image.fromarray(picture.repeat(factor, axis=0).repeat(factor, axis=1))


def _wrap(text: str, width: int) -> list[str]:
    """At most `MAX_LINES` lines of at most `width` px, broken at spaces where possible; a cut text ends in `…`."""
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}".strip()
        if fonts.length(joined, FONT_SIZE) <= width:
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append("")
        for character in word:
            if fonts.length(lines[-1] + character, FONT_SIZE) > width:
                lines.append("")
            lines[-1] += character
    if len(lines) > MAX_LINES:
        last = lines[MAX_LINES - 1]
        while fonts.length(last + "…", FONT_SIZE) > width:
            last = last[:-1]
        lines = [*lines[: MAX_LINES - 1], last + "…"]
    return lines if text.strip() else []
