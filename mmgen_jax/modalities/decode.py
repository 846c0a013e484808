"""Media files to arrays: one documented conversion for all that can be converted, an error for the rest.

A file is opened by its content; its suffix only says which modality it is meant for. Every failure is a `DataError`
that names file, modality, field, expected and got. Nothing here imports jax.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

import numpy as np

from mmgen_jax.modalities import containers
from mmgen_jax.modalities.containers import DataError as DataError
from mmgen_jax.modalities.resample import resample

SUFFIXES = {
    "image": (".png", ".jpg", ".jpeg", ".webp"),
    "audio": (".wav", ".flac", ".ogg", ".mp3"),
    "video": (".mp4", ".gif", ".webm"),
    "text": (".txt", ".json"),
}
MAX_PIXELS = 2**26  # of one image or frame; more is taken for a decompression bomb
MAX_SAMPLES = 2**27  # of one recording, all channels together: 23 minutes of 48 kHz stereo
MAX_FRAMES = 2**16  # of one clip: 43 minutes at 25 frames a second
MAX_PEAK = 4.0  # lossy codecs overshoot full scale (1.43 was seen in AAC speech); more than 12 dB is a wrong scale
SAMPLE_RATES = (1_000, 192_000)


def kind_of(path) -> str | None:
    """`image`, `audio`, `video` or `text` by the suffix, in either case; None for any other suffix."""
    suffix = pathlib.Path(path).suffix.lower()
    return next((kind for kind, suffixes in SUFFIXES.items() if suffix in suffixes), None)


def image(path, shape: tuple[int, int, int], modality: str = "image") -> np.ndarray:
    """`[H, W, C] float32` in [-1, 1] of a PNG, JPEG or WebP file, C being 1 or 3.

    Converted: palette, CMYK and YCbCr to RGB; alpha (RGBA, LA, a transparent palette entry) composited on white; 16-bit
    grey kept to its full depth, 16-bit colour to its high byte; grey to 3 equal channels, colour to 1 by Rec. 601
    luma; EXIF orientation applied; of an animation the first frame. Another size is cropped about its centre to the
    aspect H:W, then resized with an antialiased bicubic filter.

    Raises:
      DataError: unreadable, not one of these formats, truncated or corrupt, or more than MAX_PIXELS.
    """
    from PIL import ImageOps

    with open_image(path, modality) as opened:
        try:
            opened.load()
            upright = ImageOps.exif_transpose(opened)
        except Exception as error:  # each codec has exceptions of its own
            raise _undecodable(path, modality, "a whole image", error) from error
    return _pixels(upright, shape)


def open_image(path, modality: str = "image"):
    """The PIL image with only its header read; raises as `image` does, but for damage after the header."""
    from PIL import Image

    containers.check(path, modality)
    try:
        opened = Image.open(path, formats=("PNG", "JPEG", "WEBP"))
    except Exception as error:
        raise _undecodable(path, modality, "a PNG, JPEG or WebP image", error) from error
    check_pixels(path, modality, *opened.size)
    return opened


def check_pixels(path, modality: str, width: int, height: int) -> None:
    if not 0 < width * height <= MAX_PIXELS:
        raise DataError(
            path, modality, "size", f"1 to {MAX_PIXELS} pixels", f"{width}x{height}", "shrink it or leave it out"
        )


def _pixels(picture, shape: tuple[int, int, int]) -> np.ndarray:
    """A PIL image of any mode as `[H, W, C] float32` in [-1, 1]."""
    from PIL import Image

    height, width, channels = shape
    if channels not in (1, 3):
        raise ValueError(f"image shape {shape}: expected 1 or 3 channels, got {channels}")
    scale = 255.0
    if picture.mode.startswith("I"):
        picture, scale = Image.fromarray(np.asarray(picture, np.float32)), 65535.0
    elif picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    if picture.mode != "F":
        picture = picture.convert("RGB" if channels == 3 else "L")
    aspect = min(picture.width / width, picture.height / height)
    left, top = (picture.width - aspect * width) / 2, (picture.height - aspect * height) / 2
    box = (left, top, picture.width - left, picture.height - top)
    resized = np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC, box), np.float32)
    resized = resized.reshape(height, width, -1) * (2 / scale) - 1
    return np.broadcast_to(np.clip(resized, -1, 1), shape).copy()  # bicubic overshoots in float mode


def audio(path, num_samples: int, sample_rate: int, modality: str = "audio") -> np.ndarray:
    """`[num_samples] float32` in [-1, 1] of a WAV, FLAC, Ogg or MP3 file.

    Converted: channels averaged; other rates resampled (`resample.py`); longer recordings cut at the end,
    shorter ones padded with zeros; peaks up to MAX_PEAK, which lossy codecs leave, clipped to [-1, 1].

    Raises:
      DataError: unreadable, not one of these formats, truncated, empty, not finite, louder than MAX_PEAK, or a rate
        outside SAMPLE_RATES. A truncated MP3 is only noticed where its header holds the number of frames.
    """
    with open_audio(path, modality) as file:
        try:
            samples = file.read(dtype="float32", always_2d=True)
        except Exception as error:
            raise _undecodable(path, modality, "a whole recording", error) from error
        if len(samples) < file.frames:
            raise DataError(
                path, modality, "length", f"{file.frames} samples", len(samples), "it is cut off: replace it"
            )
        rate = file.samplerate
    return _waveform(path, modality, samples.mean(1), rate, num_samples, sample_rate)


def open_audio(path, modality: str = "audio"):
    """The `soundfile.SoundFile` with only its header read; raises as `audio` does, but for damage after the header."""
    import soundfile

    containers.check(path, modality)
    try:
        file = soundfile.SoundFile(str(path))
    except Exception as error:
        raise _undecodable(path, modality, "a WAV, FLAC, Ogg or MP3 recording", error) from error
    check_samples(path, modality, file.frames, file.channels, file.samplerate)
    return file


def check_samples(path, modality: str, frames: int, channels: int, rate: int) -> None:
    if not 0 < frames * channels <= MAX_SAMPLES:
        raise DataError(
            path, modality, "length", f"1 to {MAX_SAMPLES} samples", f"{frames} x {channels} channels", "replace it"
        )
    if not SAMPLE_RATES[0] <= rate <= SAMPLE_RATES[1]:
        expected = f"{SAMPLE_RATES[0]} to {SAMPLE_RATES[1]} Hz"
        raise DataError(path, modality, "sample_rate", expected, f"{rate} Hz", "its header is wrong: convert it again")


def _waveform(path, modality, samples, rate, num_samples, sample_rate) -> np.ndarray:
    """One channel `[N]` at `rate` as `[num_samples]` at `sample_rate`."""
    if not np.isfinite(samples).all():
        at = int(np.argmin(np.isfinite(samples)))
        raise DataError(path, modality, "range", "finite samples", f"{samples[at]} at sample {at}", "replace it")
    if (peak := float(np.abs(samples).max())) > MAX_PEAK:
        raise DataError(
            path, modality, "range", "samples in [-1, 1]", f"a peak of {peak:.4g}", "scale it to full scale 1"
        )
    if rate != sample_rate:
        samples = resample(samples, rate, sample_rate, num_samples)
    waveform = np.zeros(num_samples, np.float32)
    waveform[: len(samples)] = samples[:num_samples]
    return np.clip(waveform, -1, 1)


def video(path, shape: tuple[int, int, int, int], frame_rate: float = 0.0, modality: str = "video") -> np.ndarray:
    """`[T, H, W, C] float32` in [-1, 1] of an MP4, GIF or WebM file.

    With a `frame_rate` of 0, frame t is the middle one of the clip's t-th of T equal parts, so any clip fills T frames
    (one of 74 frames as well as one of 75; one of fewer than T repeats frames). With another, frame t is the one on
    show t / frame_rate seconds after the start, and a clip that ends earlier holds its last frame. Each frame is
    converted as `image` does it, rotation flags included.

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
            clip[chosen == index] = _pixels(_picture(frame), shape[1:])
    return clip


def video_audio(path, num_samples: int, sample_rate: int, modality: str = "audio") -> np.ndarray:
    """`[num_samples] float32` in [-1, 1]: the first audio track of a video file, converted as `audio` does it.

    Raises:
      DataError: as `video`, or the file has no audio track.
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
            check_samples(path, modality, total, 1, rate)
    if not parts:
        raise DataError(path, modality, "length", "at least 1 sample", "an empty audio track", "replace it")
    return _waveform(path, modality, np.concatenate(parts), rate, num_samples, sample_rate)


def open_video(path, modality: str = "video"):
    """The `av` container with only its header read; raises as `video` does, but for damage after the header."""
    import av

    containers.check(path, modality)
    try:
        container = av.open(str(path))
    except Exception as error:
        raise _undecodable(path, modality, "an MP4, GIF or WebM clip", error) from error
    known = container.format.name.split(",")[0] in ("mov", "gif", "matroska")
    if not known or not container.streams.video:
        container.close()
        expected = "a video track" if known else "an MP4, GIF or WebM clip"
        raise DataError(path, modality, "format", expected, "none" if known else container.format.name, "convert it")
    stream = container.streams.video[0]
    check_pixels(path, modality, stream.width, stream.height)
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
            raise _undecodable(path, modality, "undamaged data", error, f"frame {count}") from error
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


def _undecodable(path, modality: str, expected: str, error: Exception, field: str = "content") -> DataError:
    got = f"{type(error).__name__}: {error}".replace(str(path), "the file")
    return DataError(path, modality, field, expected, got, "replace the file or leave it out")
