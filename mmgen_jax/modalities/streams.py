"""Reads clips and their sound by PyAV: opens a container, and decodes the frames of one stream."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mmgen_jax.errors import DataError
from mmgen_jax.modalities import containers
from mmgen_jax.modalities.base import undecodable

# FFmpeg's names: MP4, MOV and M4A share one name; Matroska is MKV and WebM.
FORMATS = ("mov", "gif", "matroska", "avi")


def open_clip(path, modality: str, track: str, expected: str):
    """The `av` container with only its header read.

    Args:
      track: `video` or `audio`, the track that the container must have.
      expected: the expected file, for the error message.

    Raises:
      DataError: unreadable, not one of FORMATS, cut off, or without the track.
    """
    import av

    containers.check(path, modality)
    try:
        container = av.open(str(path))
    except Exception as error:  # each format has exceptions of its own
        raise undecodable(path, modality, expected, error) from error
    known = container.format.name.split(",")[0] in FORMATS
    if not known or not getattr(container.streams, track):
        container.close()
        what = f"{'an' if track == 'audio' else 'a'} {track} track" if known else expected
        field = "format" if track == "video" or not known else "track"
        raise DataError(
            path, modality, field, what, "none" if known else container.format.name, "convert it or leave it out"
        )
    return container


def seconds(container, stream) -> float:
    """The length of a stream by the header; that of the longest stream, or 0, where the header lacks it."""
    if stream.duration is not None and stream.time_base:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / 1e6  # microseconds


def decoded(path, modality: str, container, stream) -> Iterator:
    """The frames of one stream; the decoder is told to report damage instead of concealing it."""
    stream.codec_context.options = {"err_detect": "explode"}
    frames, count = container.decode(stream), 0
    while True:
        try:
            frame = next(frames, None)
        except Exception as error:
            raise undecodable(path, modality, "undamaged data", error, f"frame {count}") from error
        if frame is None:
            return
        yield frame
        count += 1


def mono(frame) -> np.ndarray:
    """One audio frame `[N]` in [-1, 1], the mean of its channels; integers are scaled by their range."""
    part, middle, scale = frame.to_ndarray(), 0.0, 1.0
    if np.issubdtype(part.dtype, np.integer):
        scale = 2.0 ** (np.iinfo(part.dtype).bits - 1)
        middle = scale if np.iinfo(part.dtype).min == 0 else 0.0  # silence of unsigned samples is half of their range
    channels = part if frame.format.is_planar else part.reshape(-1, frame.layout.nb_channels).T
    return (channels.mean(0) - middle) / scale
