"""The kind `video`: a clip `[T, H, W, C]` float32 in [-1, 1], each frame like an image; zeros are mid-grey."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from mmgen_jax.errors import DataError
from mmgen_jax.modalities import animation, audio, base, containers, image, streams
from mmgen_jax.modalities.grid import save_contact_sheet, save_grid, to_uint8
from mmgen_jax.modalities.modality import Modality

MAX_FRAMES = 2**16  # of one clip: 43 minutes at 25 frames a second
MAX_CLIP_PIXELS = 2**36  # of all frames: 22 minutes of full HD at 25 frames a second
MAX_FRAME_PIXELS = 2**25  # 8K; every frame is decoded, and a GIF of few bytes may have a vast canvas
CLOCK = 1e-3  # seconds; Matroska rounds the times of a frame and of the clip's end, each by up to half a millisecond
SHOWN_RATE = 8.0  # frames a second of a written sample whose modality has no frame rate


@dataclasses.dataclass(frozen=True)
class Kind(image.Kind):
    """Files: MP4, MOV, WebM, MKV, AVI, GIF; all but GIF may hold a sound. Samples: `<step>_<name>.gif`, a moving grid,
    the same as `.mp4`, and `<step>_<name>_frames.png`, a contact sheet with time from left to right.

    Augmentation: the operations of an image, alike for all frames of a clip, and

        reverse     probability that the order of the frames is reversed
    """

    ranks: ClassVar[tuple[int, ...]] = (4,)
    suffixes: ClassVar[tuple[str, ...]] = (".mp4", ".mov", ".webm", ".mkv", ".avi", ".gif")
    tracks: ClassVar[Mapping[str, tuple[str, ...]]] = {"audio": (".mp4", ".mov", ".webm", ".mkv", ".avi")}
    is_picture: ClassVar[bool] = False
    operations: ClassVar[Mapping[str, float]] = {**image.Kind.operations, "reverse": 1}

    @classmethod
    def of_folder(cls, fields, entries: base.Entries) -> Modality:
        shape = (fields.num_frames, fields.image_size, fields.image_size, fields.channels)
        return Modality("video", shape, frame_rate=fields.frame_rate)

    @classmethod
    def of_array(cls, fields, name: str, values: np.ndarray, about: Mapping[str, Any]) -> tuple[Modality, np.ndarray]:
        if values.ndim != 5:
            expected, got = "[N, T, H, W, C]", list(values.shape)
            raise DataError(fields.file, name, "shape", expected, got, "add the missing axes")
        if fields.num_frames:
            values = values[:, np.linspace(0, values.shape[1] - 1, fields.num_frames).round().astype(int)]
        clips = image.of_arrays(fields, name, values)
        return Modality("video", clips.shape[1:]), clips

    @classmethod
    def check_header(cls, path, name: str) -> None:
        open_video(path, name).close()

    @classmethod
    def kind_of(cls, path) -> str:
        """`image` for a GIF of one picture, else `video`."""
        path = pathlib.Path(path)
        if path.suffix.lower() != ".gif" or not path.is_file() or not os.access(path, os.R_OK):
            return "video"
        with open(path, "rb") as file:
            return "image" if containers.num_pictures(file, 2) == 1 else "video"

    @classmethod
    def has_track(cls, path, name: str) -> bool:
        """Whether a clip has an audio track."""
        with open_video(path, name) as container:
            return bool(container.streams.audio)

    @classmethod
    def read_track(cls, path, modality: Modality, name: str) -> np.ndarray | None:
        """The audio track of a clip as `[num_samples] float32`, see `read_sound`; None where the clip has none."""
        if not cls.has_track(path, name):
            return None
        (num_samples,) = modality.shape
        return audio.read_sound(path, num_samples, modality.sample_rate, name)

    def read_file(self, path, name: str) -> np.ndarray:
        return read(path, self.modality.shape, self.modality.frame_rate, name)

    def shortened(self, path, name: str) -> list[str]:
        num_frames, rate = self.modality.shape[0], self.modality.frame_rate
        if not rate:  # the frames are spread over the whole clip
            return []
        with open_video(path, name) as container:
            seconds = streams.seconds(container, container.streams.video[0])
        if seconds < (num_frames + 1) / rate:
            return []
        return [f"are longer than {num_frames} frames at {rate:g} frames/s and are cut; raise data.num_frames"]

    def frames(self, name: str, values: np.ndarray) -> np.ndarray:
        return to_uint8(base.finite(name, values))

    def save(
        self, stem: pathlib.Path, name: str, samples: np.ndarray, captions: Sequence[str], seen: Mapping[str, Any]
    ) -> list[pathlib.Path]:
        panels = {**seen, name: self.frames(name, samples)}
        moving = save_grid(stem, panels, list(captions), self.modality.frame_rate or SHOWN_RATE)
        return [*moving, save_contact_sheet(stem, panels, list(captions))]

    def save_alone(self, stem: pathlib.Path, name: str, sample: np.ndarray) -> list[pathlib.Path]:
        frames = [frame.convert("RGB") for frame in image.pictures_of(self.frames(name, sample[None])[0])]
        return animation.save(stem, frames, self.modality.frame_rate or SHOWN_RATE)

    def statistics(self) -> Statistics:
        return Statistics(self.modality)

    def augment(self, settings: Mapping[str, Any], example, key):
        from mmgen_jax.modalities import augmentation

        return augmentation.pictures(example, settings, key)


class Statistics(base.Statistics):
    """Range and mean of the elements, and the frame rate."""

    def __str__(self) -> str:
        rate = self.modality.frame_rate
        return f"{f'{rate:g} frames/s' if rate else 'frames spread over each clip'}; {super().__str__()}"


def read(path, shape: tuple[int, ...], frame_rate: float = 0.0, modality: str = "video") -> np.ndarray:
    """`[T, H, W, C] float32` in [-1, 1] of a clip in one of the formats of `Kind`.

    With `frame_rate` 0, the file is divided into T parts of equal time, and frame t is the frame shown in the middle of
    part t. So a file of any length gives T frames; a file with fewer than T frames repeats some. With a `frame_rate`
    above 0, frame t is the frame shown t / frame_rate seconds after the start, and a file that ends earlier repeats its
    last frame. The times are those of the file, so frames may have different durations. Each frame is converted as in
    `image.read`; rotation flags are applied.

    Raises:
      DataError: the file is unreadable, of another format or truncated, or the decoder reports a damaged frame. Damage
        that was re-encoded as valid frames cannot be detected.
    """
    starts, ends = np.array([time for *time, _ in _frames(path, modality)]).reshape(-1, 2).T
    if not len(starts):
        raise DataError(path, modality, "frames", "at least 1 frame", "none", "replace it")
    steps = np.arange(shape[0])
    seconds = steps / frame_rate if frame_rate else (steps + 0.5) / shape[0] * (ends[-1] - starts[0])
    chosen = np.searchsorted(starts - starts[0], seconds + CLOCK, side="right") - 1
    clip = np.empty(shape, np.float32)
    for index, (*_, frame) in enumerate(_frames(path, modality)):  # a second pass, to keep one frame in memory
        if index in chosen:
            clip[chosen == index] = image.to_array(_picture(frame), shape[1:])
    return clip


def open_video(path, modality: str = "video"):
    """The `av` container with only its header read; raises as `read`, except for damage after the header."""
    container = streams.open_clip(path, modality, "video", "an MP4, MOV, WebM, MKV, AVI or GIF clip")
    stream = container.streams.video[0]
    image.check_pixels(path, modality, stream.width, stream.height, MAX_FRAME_PIXELS)
    return container


def _frames(path, modality: str) -> Iterator[tuple[float, float, Any]]:
    """Every frame of a clip in display order, as (start in seconds, end, frame)."""
    with open_video(path, modality) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"  # frame threads report errors late: the message would name a later frame
        rate = float(stream.average_rate or 25)
        most = min(MAX_FRAMES, MAX_CLIP_PIXELS // max(stream.width * stream.height, 1))
        for index, frame in enumerate(streams.decoded(path, modality, container, stream)):
            if frame.is_corrupt:
                raise DataError(
                    path, modality, f"frame {index}", "a whole frame", "damaged data", "encode it again or leave it out"
                )
            if index >= most:
                got = f"more frames of {stream.width} x {stream.height} pixels"
                raise DataError(path, modality, "frames", f"at most {most}", got, "cut it")
            start = index / rate if frame.time is None else frame.time
            yield start, start + (float(frame.duration * frame.time_base) if frame.duration else 1 / rate), frame


def _picture(frame):
    from PIL import Image

    alpha = any(component.is_alpha for component in frame.format.components)
    picture = Image.fromarray(frame.to_ndarray(format="rgba" if alpha else "rgb24"))
    quarter_turns = round(frame.rotation / 90) % 4
    return picture.rotate(90 * quarter_turns, expand=True) if quarter_turns else picture
