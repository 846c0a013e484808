"""Pictures as an animation: a GIF, and an MP4 beside it, which has all colours and any frame rate."""

from __future__ import annotations

import fractions
import math
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from absl import logging

if TYPE_CHECKING:
    import PIL.Image

MAX_GIF_RATE = 50  # frames a second: browsers show a frame of less than 20 ms for 100 ms
CODEC = "libx264"  # H.264, which browsers play


def save(stem: pathlib.Path, frames: Sequence[PIL.Image.Image], frame_rate: float) -> list[pathlib.Path]:
    """Writes RGB frames of one size as `.gif` and, where PyAV has the codec, as `.mp4`; returns the paths.

    A GIF keeps the duration of the clip. Its frames last multiples of 10 ms, so some frames last 10 ms longer than
    others. Above `MAX_GIF_RATE`, the GIF leaves frames out, and this is logged once.
    """
    path = stem.with_name(stem.name + ".gif")
    rate = min(frame_rate, MAX_GIF_RATE)
    shown = [
        frames[int(i * frame_rate / rate + 1e-9)] for i in range(math.ceil(len(frames) * rate / frame_rate - 1e-9))
    ]
    ends = np.rint(100 / rate * np.arange(len(shown) + 1)).astype(int)
    shown[0].save(path, save_all=True, append_images=shown[1:], duration=(10 * np.diff(ends)).tolist(), loop=0)
    clip = _mp4(path.with_suffix(".mp4"), frames, frame_rate)
    if frame_rate <= MAX_GIF_RATE:
        return [path, *clip]
    about = f"{clip[0].name} has all" if clip else f"no MP4 beside it, as this PyAV has no {CODEC}"
    said = f"{path.name}: a GIF shows at most {MAX_GIF_RATE} frames/s; it has {len(shown)} of {len(frames)}, {about}"
    logging.log_first_n(logging.WARNING, "%s", 1, said)
    return [path, *clip]


def _mp4(path: pathlib.Path, frames: Sequence[PIL.Image.Image], frame_rate: float) -> list[pathlib.Path]:
    """Writes an MP4 and returns its path; [] where PyAV has no such codec."""
    import av

    if CODEC not in av.codecs_available:
        return []
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(CODEC, rate=fractions.Fraction(frame_rate).limit_denominator(1001))
        stream.width, stream.height = (side + side % 2 for side in frames[0].size)  # colour is stored per 2 × 2 px
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            pixels = np.full((stream.height, stream.width, 3), 255, np.uint8)
            pixels[: frame.height, : frame.width] = np.asarray(frame)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return [path]
