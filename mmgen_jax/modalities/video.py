"""The kind `video`: `[T, H, W, C]` float32 in [-1, 1], a clip whose every frame is as an image; zeros are mid-grey."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from mmgen_jax.errors import DataError
from mmgen_jax.modalities import audio, base, containers, image
from mmgen_jax.modalities.base import undecodable
from mmgen_jax.modalities.grid import save_grid, to_uint8
from mmgen_jax.modalities.modality import Modality

MAX_FRAMES = 2**16  # of one clip: 43 minutes at 25 frames a second
SHOWN_RATE = 8.0  # frames a second of a sample whose modality states no rate


@dataclasses.dataclass(frozen=True)
class Kind(image.Kind):
    """Files: MP4, GIF, WebM; MP4 and WebM may hold a sound as well. Samples: `<step>_<name>.gif`, a moving grid.

    Augmentation, with the largest strengths: those of an image, alike for all frames, and

        reverse     probability of the frames in reverse order
    """

    ranks: ClassVar[tuple[int, ...]] = (4,)
    suffixes: ClassVar[tuple[str, ...]] = (".mp4", ".gif", ".webm")
    tracks: ClassVar[Mapping[str, tuple[str, ...]]] = {"audio": (".mp4", ".webm")}
    operations: ClassVar[Mapping[str, float]] = {**image.Kind.operations, "reverse": 1}

    @classmethod
    def of_folder(cls, fields, entries: base.Entries) -> Modality:
        shape = (fields.num_frames, fields.image_size, fields.image_size, fields.channels)
        return Modality("video", shape, frame_rate=fields.frame_rate)

    @classmethod
    def check_header(cls, path, name: str) -> None:
        open_video(path, name).close()

    @classmethod
    def has_track(cls, path, name: str) -> bool:
        """Whether a clip has sound."""
        with open_video(path, name) as container:
            return bool(container.streams.audio)

    @classmethod
    def read_track(cls, path, modality: Modality, name: str) -> np.ndarray | None:
        """The sound of a clip, None where it has none."""
        if not cls.has_track(path, name):
            return None
        (num_samples,) = modality.shape
        return read_sound(path, num_samples, modality.sample_rate, name)

    def read_file(self, path, name: str) -> np.ndarray:
        return read(path, self.modality.shape, self.modality.frame_rate, name)

    def frames(self, name: str, values: np.ndarray) -> np.ndarray:
        return to_uint8(base.finite(name, values))

    def save(
        self, stem: pathlib.Path, name: str, samples: np.ndarray, captions: Sequence[str], seen: Mapping[str, Any]
    ) -> list[pathlib.Path]:
        panels = {**seen, name: self.frames(name, samples)}
        return [save_grid(stem, panels, list(captions), self.modality.frame_rate or SHOWN_RATE)]

    def statistics(self) -> Statistics:
        return Statistics(self.modality)

    def augment(self, settings: Mapping[str, Any], example, key):
        from mmgen_jax.modalities import augmentation

        return augmentation.pictures(example, settings, key)


class Statistics(base.Statistics):
    """Range and mean of the elements, and the rate."""

    def __str__(self) -> str:
        rate = self.modality.frame_rate
        return f"{f'{rate:g} frames/s' if rate else 'frames spread over each clip'}; {super().__str__()}"


def read(path, shape: tuple[int, ...], frame_rate: float = 0.0, modality: str = "video") -> np.ndarray:
    """`[T, H, W, C] float32` in [-1, 1] of an MP4, GIF or WebM file.

    With a `frame_rate` of 0, frame t is the middle one of the clip's t-th of T equal parts, so any clip fills T frames
    (one of 74 frames as well as one of 75; one of fewer than T repeats frames). With another, frame t is the one on
    show t / frame_rate seconds after the start, and a clip that ends earlier holds its last frame. Each frame is
    converted as `image.read` does it, rotation flags included.

    Raises:
      DataError: unreadable, not one of these formats, truncated, or a frame that the decoder reports as damaged.
        Damage that was re-encoded into valid frames cannot be told from a picture.
    """
    times = [time for time, _ in _frames(path, modality)]
    if not times:
        raise DataError(path, modality, "frames", "at least 1 frame", "none", "replace it")
    steps = np.arange(shape[0])
    if not frame_rate:
        chosen = ((steps + 0.5) * len(times) / shape[0]).astype(int)
    else:
        chosen = np.searchsorted(np.array(times) - times[0], steps / frame_rate + 1e-6, side="right") - 1
    clip = np.empty(shape, np.float32)
    for index, (_, frame) in enumerate(_frames(path, modality)):  # again, so that one frame is held at a time
        if index in chosen:
            clip[chosen == index] = image.to_array(_picture(frame), shape[1:])
    return clip


def read_sound(path, num_samples: int, sample_rate: int, modality: str = "audio") -> np.ndarray:
    """`[num_samples] float32` in [-1, 1]: the first audio track of a video file, converted as `audio.read` does it.

    Raises:
      DataError: as `read`, or the file has no audio track.
    """
    with open_video(path, modality) as container:
        if not container.streams.audio:
            raise DataError(path, modality, "track", "an audio track", "none", "leave audio out for this file")
        stream = container.streams.audio[0]
        rate, parts, scale, total = stream.rate, [], 1.0, 0
        for frame in _decoded(path, modality, container, stream):
            part = frame.to_ndarray()
            if np.issubdtype(part.dtype, np.integer):
                scale = float(-np.iinfo(part.dtype).min)
            channels = part if frame.format.is_planar else part.reshape(-1, frame.layout.nb_channels).T
            parts.append(channels.mean(0) / scale)
            total += len(parts[-1])
            audio.check_samples(path, modality, total, 1, rate)
    if not parts:
        raise DataError(path, modality, "length", "at least 1 sample", "an empty audio track", "replace it")
    return audio.fit(path, modality, np.concatenate(parts), rate, num_samples, sample_rate)


def open_video(path, modality: str = "video"):
    """The `av` container with only its header read; raises as `read` does, but for damage after the header."""
    import av

    containers.check(path, modality)
    try:
        container = av.open(str(path))
    except Exception as error:
        raise undecodable(path, modality, "an MP4, GIF or WebM clip", error) from error
    known = container.format.name.split(",")[0] in ("mov", "gif", "matroska")
    if not known or not container.streams.video:
        container.close()
        expected = "a video track" if known else "an MP4, GIF or WebM clip"
        raise DataError(path, modality, "format", expected, "none" if known else container.format.name, "convert it")
    stream = container.streams.video[0]
    image.check_pixels(path, modality, stream.width, stream.height)
    return container


def _frames(path, modality: str) -> Iterator[tuple[float, object]]:
    """Every frame of a clip in order of showing, with its time in seconds."""
    with open_video(path, modality) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"  # frame threads delay errors, which would name a later frame
        rate = float(stream.average_rate or 25)
        for index, frame in enumerate(_decoded(path, modality, container, stream)):
            if frame.is_corrupt or index >= MAX_FRAMES:
                got = "damaged data" if frame.is_corrupt else f"more than {MAX_FRAMES} frames"
                raise DataError(
                    path, modality, f"frame {index}", "a whole frame", got, "encode it again or leave it out"
                )
            yield (index / rate if frame.time is None else frame.time), frame


def _decoded(path, modality: str, container, stream) -> Iterator:
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


def _picture(frame):
    from PIL import Image

    alpha = any(component.is_alpha for component in frame.format.components)
    picture = Image.fromarray(frame.to_ndarray(format="rgba" if alpha else "rgb24"))
    quarter_turns = round(frame.rotation / 90) % 4
    return picture.rotate(90 * quarter_turns, expand=True) if quarter_turns else picture
