"""A sheet of pictures or clips with words under each, one cell per example."""

from __future__ import annotations

import math
import pathlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import PIL.Image

MIN_PICTURE = 96  # px of the shorter side; smaller pictures are enlarged by a whole factor
GAP = 6  # px around a cell
FONT_SIZE = 13
LINE_HEIGHT = 16
MAX_LINES = 4  # of a prompt


def to_uint8(pixels: np.ndarray) -> np.ndarray:
    """[-1, 1] to [0, 255], rounded; values outside are clipped."""
    return np.round((np.clip(pixels, -1.0, 1.0) + 1.0) * 127.5).astype(np.uint8)


def save_grid(
    stem: pathlib.Path, panels: dict[str, np.ndarray], captions: list[str], frame_rate: float = 0
) -> pathlib.Path:
    """Panels `{name: [B, T, H, W, C] uint8}` of one example side by side, one cell per example.

    Written as an animation `.gif` where `frame_rate` is positive, else as a picture `.png` that shows the middle frame
    of videos.
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
    import PIL.Image
    import PIL.ImageDraw
    import PIL.ImageFont

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
    """`[H, W, 1 or 3] uint8` as RGB, its shorter side at least `MIN_PICTURE` px, every pixel a square."""
    import PIL.Image

    factor = math.ceil(MIN_PICTURE / min(picture.shape[:2]))
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
    if len(lines) > MAX_LINES:
        last = lines[MAX_LINES - 1]
        while font.getlength(last + "…") > width:
            last = last[:-1]
        lines = [*lines[: MAX_LINES - 1], last + "…"]
    return lines if text.strip() else []
