"""Small media files for tests, whole and damaged."""

from __future__ import annotations

import fractions
import pathlib
import struct
import zlib

import av
import numpy as np
import PIL.Image
import soundfile


def pixels(height=24, width=24, channels=3, seed=0) -> np.ndarray:
    """Noise, so that files are as long as files of their size can be."""
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def picture(path, array=None, mode=None, **options) -> pathlib.Path:
    """An image file of the suffix's format; `mode` converts the array's picture first."""
    image = PIL.Image.fromarray(pixels() if array is None else array)
    (image.convert(mode) if mode else image).save(path, **options)
    return pathlib.Path(path)


def png(path, *header, end=True) -> pathlib.Path:
    """A file of `png_bytes`."""
    path = pathlib.Path(path)
    path.write_bytes(png_bytes(*header, end=end))
    return path


def png_bytes(width, height, bit_depth, color_type, rows: bytes | None, end=True) -> bytes:
    """A PNG made by hand, for headers that no writer makes; `rows` are the filtered scanlines, None leaves them out."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    content = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bit_depth, color_type, 0, 0, 0))
    content += chunk(b"IDAT", zlib.compress(rows)) if rows is not None else b""
    return b"\x89PNG\r\n\x1a\n" + content + (chunk(b"IEND", b"") if end else b"")


def sine(rate=8000, seconds=0.5, frequency=440.0, amplitude=0.5) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)


def sound(path, samples=None, rate=8000, **options) -> pathlib.Path:
    soundfile.write(path, sine(rate) if samples is None else samples, rate, **options)
    return pathlib.Path(path)


def clip(path, frames=None, rate=25, samples=None, sample_rate=16000, codec="libx264", starts=None, **options):
    """A video file of `frames [T, H, W, 3] uint8` (10 of noise if None, no track if empty), with AAC if `samples`.

    `starts`, in milliseconds, are the frames' times where the rate is not constant.
    """
    if frames is None:
        frames = np.stack([pixels(32, 32, seed=t) for t in range(10)])
    with av.open(str(path), "w", format=options.pop("format", None), options=options) as container:
        if len(frames):
            video = container.add_stream(codec, rate=rate)
            video.height, video.width = frames.shape[1:3]
            video.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
            if codec in ("libx264", "mpeg4"):
                video.options = {"crf": "10", "qscale": "2"}
        if samples is not None:
            audio = container.add_stream("aac", rate=sample_rate, layout="mono")
        if starts is not None:
            video.codec_context.time_base = fractions.Fraction(1, 1000)
        for i, array in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(array)
            if starts is not None:
                picture.pts, picture.time_base = starts[i], fractions.Fraction(1, 1000)
            container.mux(video.encode(picture))
        if len(frames):
            container.mux(video.encode())
        if samples is not None:
            frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = sample_rate, 0, fractions.Fraction(1, sample_rate)
            container.mux(audio.encode(frame))
            container.mux(audio.encode())
    return pathlib.Path(path)


def cut(path: pathlib.Path, share=0.6) -> pathlib.Path:
    """Truncates a file to a share of its length."""
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    return path


def append(path: pathlib.Path, data: bytes) -> pathlib.Path:
    """Puts bytes behind the end of a file."""
    path.write_bytes(path.read_bytes() + data)
    return path


def overwrite(path: pathlib.Path, share=0.5, data=b"\xaa" * 64) -> pathlib.Path:
    """Replaces bytes in the middle of a file."""
    content = bytearray(path.read_bytes())
    at = int(share * len(content))
    content[at : at + len(data)] = data
    path.write_bytes(content)
    return path


def replace(path: pathlib.Path, old: bytes, new: bytes) -> pathlib.Path:
    """Replaces the first `old`, which must be there, by as many bytes."""
    content = path.read_bytes()
    assert old in content and len(old) == len(new)
    path.write_bytes(content.replace(old, new, 1))
    return path
