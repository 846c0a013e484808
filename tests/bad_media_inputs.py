"""The part of the corpus `bad_inputs` that is images, recordings and clips."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Callable
from typing import Any

import media_files as media
import numpy as np
import PIL.Image

from mmgen_jax.modalities.audio import read as read_audio
from mmgen_jax.modalities.audio import read_sound
from mmgen_jax.modalities.image import read as read_image
from mmgen_jax.modalities.video import read as read_video

Folder = pathlib.Path


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    write: Callable[[Folder], Any]
    read: Callable[[Folder], Any]
    refused: tuple[str, ...] = ()  # parts of the error's line
    converted: Callable[[Any], bool] | None = None  # whether the result is the documented one


def first(directory: Folder) -> Folder:
    return next(directory.iterdir())


def image(directory, shape=(8, 8, 3)):
    return read_image(first(directory), shape)


def audio(directory, num_samples=4000):
    return read_audio(first(directory), num_samples, 8000)


def video(directory, shape=(4, 8, 8, 3)):
    return read_video(first(directory), shape)


def sound_of_video(directory):
    return read_sound(first(directory), 4000, 8000)


def is_near(value, expected, tolerance=0.02) -> bool:
    return bool(np.allclose(value, expected, atol=tolerance))


def has_pitch(waveform, frequency) -> bool:
    """Whether the strongest frequency of a waveform at 8 kHz is within 4 Hz of `frequency`."""
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform)), 16_000))
    return abs(int(spectrum.argmax()) * 0.5 - frequency) < 4


def white_on_top(picture) -> bool:
    return is_near(picture[0], 1, 0.1) and is_near(picture[-1], -1, 0.1)


def write(name: str, content: str | bytes) -> Callable[[Folder], Any]:
    data = content.encode() if isinstance(content, str) else content
    return lambda directory: (directory / name).write_bytes(data)


def uniform(mode: str, color, size=(16, 16)) -> PIL.Image.Image:
    return PIL.Image.new(mode, size, color)


def image_cases() -> list[Case]:
    def save(name, picture, **options):
        return lambda directory: picture.save(directory / name, **options)

    def palette(directory):
        picture = uniform("P", 1)
        picture.putpalette([0, 0, 0, 255, 0, 0])
        picture.save(directory / "a.png", transparency=1)

    def oriented(directory):
        array = np.zeros((16, 16, 3), np.uint8)
        array[:, :8] = 255  # the left half; orientation 6 shows it on top
        exif = PIL.Image.Exif()
        exif[0x0112] = 6
        PIL.Image.fromarray(array).save(directory / "a.jpg", exif=exif, quality=95)

    def wide(directory):
        array = np.full((8, 24, 3), 255, np.uint8)
        array[:, 8:16] = 0
        media.picture(directory / "a.png", array)

    def grey16(directory, name="a.png"):
        media.picture(directory / name, np.full((16, 16), 0x4080, np.uint16))

    def color16(directory):  # one filter byte a row, then big-endian samples
        media.png(directory / "a.png", 8, 8, 16, 2, (b"\0" + b"\xff\xff\x80\x00\x00\x00" * 8) * 8)

    def jpeg_of_a_phone(directory):
        uniform("RGB", "red").save(directory / "a.jpg", quality=95)
        media.append(directory / "a.jpg", bytes(209_000))

    def animated(directory):
        uniform("RGB", "red").save(directory / "a.webp", save_all=True, append_images=[uniform("RGB", "blue")])

    red, white, black = [1, -1, -1], [1, 1, 1], uniform("L", 0)
    convert = {
        "palette": (save("a.png", uniform("RGB", "red").quantize(4)), red),
        "transparent palette entry": (palette, white),
        "CMYK": (save("a.jpg", uniform("CMYK", (0, 255, 255, 0)), quality=95), red),
        "RGBA": (save("a.png", uniform("RGBA", (255, 0, 0, 128))), [1, 0, 0]),
        "fully transparent": (save("a.png", uniform("RGBA", (0, 0, 0, 0))), white),
        "LA": (save("a.png", uniform("LA", (0, 0))), white),
        "one channel": (save("a.png", uniform("L", 64)), [64 / 127.5 - 1] * 3),
        "one bit": (save("a.png", uniform("1", 1)), white),
        "16-bit grey": (grey16, [2 * 0x4080 / 65535 - 1] * 3),
        "16-bit colour": (color16, [1, 0, -1]),
        "lossless webp": (save("a.webp", uniform("RGB", "red"), lossless=True), red),
        "animated webp": (animated, red),
        "bmp": (save("a.bmp", uniform("RGB", "red")), red),
        "tiff": (save("a.tif", uniform("RGB", "red"), compression="tiff_lzw"), red),
        "16-bit tiff": (lambda d: grey16(d, "a.tiff"), [2 * 0x4080 / 65535 - 1] * 3),
        "tiff of two pages": (save("a.tiff", uniform("RGB", "red"), save_all=True, append_images=[black]), red),
        "avif": (save("a.avif", uniform("RGB", "red"), quality=95), red),
        "still gif": (save("a.gif", uniform("RGB", "red")), red),
        "png without its end": (lambda d: media.png(d / "a.png", 8, 8, 8, 0, b"\0" * 72, end=False), -1),
        "jpg with a phone's zeros behind its end": (jpeg_of_a_phone, red),
        "BMP named png": (save("a.png", uniform("RGB", "red"), format="BMP"), red),
        "PNG named jpg": (save("a.jpg", uniform("RGB", "red"), format="PNG"), red),
        "one pixel": (save("a.png", uniform("RGB", "red", (1, 1))), red),
        "very thin": (save("a.png", uniform("RGB", "red", (1, 4000))), red),
        "wide, cropped to its centre": (wide, [-1] * 3),
        "a name beyond ASCII": (save("猫 é.png", uniform("RGB", "red")), red),
        "a name with a line break": (save("a\nb.png", uniform("RGB", "red")), red),
    }
    whole, format_ = ("image.content", "a whole image"), ("image.content", "a PNG, JPEG, WebP, BMP, TIFF, AVIF or GIF")
    refuse = {
        "truncated png": (lambda d: media.cut(media.picture(d / "a.png")), whole),
        "truncated jpg": (lambda d: media.cut(media.picture(d / "a.jpg")), whole),
        "truncated webp": (lambda d: media.cut(media.picture(d / "a.webp", lossless=True)), ("image.content",)),
        "truncated tiff": (lambda d: media.cut(media.picture(d / "a.tiff")), whole),
        "truncated bmp": (lambda d: media.cut(media.picture(d / "a.bmp")), whole),
        "truncated avif": (lambda d: media.cut(media.picture(d / "a.avif")), format_),
        "tiff of floats": (
            lambda d: media.picture(d / "a.tiff", np.zeros((8, 8), np.float32)),
            ("image.depth", "8 or 16 bits", "floats"),
        ),
        "png with a damaged block": (
            lambda d: media.overwrite(media.picture(d / "a.png")),
            ("image.content", "a whole image"),
        ),
        "png with too few rows": (lambda d: media.png(d / "a.png", 8, 8, 8, 0, b"\0" * 30), ("image.content",)),
        "png without pixels": (lambda d: media.png(d / "a.png", 8, 8, 8, 0, None), ("image.content",)),
        "decompression bomb": (lambda d: media.png(d / "a.png", 60_000, 60_000, 8, 2, b""), ("image.", "pixels")),
        "declared width of 0": (lambda d: media.png(d / "a.png", 0, 8, 8, 0, b""), ("image.",)),
        "declared size of 2^31": (lambda d: media.png(d / "a.png", 2**31 - 1, 2**31 - 1, 8, 0, b""), ("image.",)),
        "empty png": (write("a.png", b""), ("image.size", "at least 1 byte", "an empty file")),
        "text named png": (write("a.png", "hello"), format_),
        "sound named png": (lambda d: media.sound(d / "a.wav").rename(d / "a.png"), format_),
        "folder named png": (lambda d: (d / "a.png").mkdir(), ("image.file", "a file", "a folder")),
        "link to nothing": (lambda d: (d / "a.png").symlink_to("b.png"), ("image.file", "No such file")),
        "link to itself": (lambda d: (d / "a.png").symlink_to("a.png"), ("image.file", "symbolic links")),
        "pipe": (lambda d: os.mkfifo(d / "a.png"), ("image.file", "a device")),
    }
    if os.geteuid():  # the superuser may read everything
        refuse["no permission to read"] = (
            lambda d: media.picture(d / "a.png").chmod(0),
            ("image.file", "a readable file", "Permission denied"),
        )
    return [
        *(Case(f"image: {n}", w, image, converted=lambda x, c=c: is_near(x, c)) for n, (w, c) in convert.items()),
        Case("image: EXIF orientation", oriented, image, converted=white_on_top),
        Case(
            "image: colour to one channel",
            save("a.png", uniform("RGB", "red")),
            lambda d: image(d, (8, 8, 1)),
            converted=lambda x: is_near(x, 2 * 0.299 - 1),
        ),
        *(Case(f"image: {n}", w, image, refused=parts) for n, (w, parts) in refuse.items()),
    ]


def audio_cases() -> list[Case]:
    def sound(name="a.wav", samples=None, rate=8000, **options):
        return lambda directory: media.sound(directory / name, samples, rate, **options)

    def streamed(directory):  # what a program writes that pipes its WAV: lengths of 2^32 - 1
        path = media.sound(directory / "a.wav")
        media.replace(path, b"data" + (8000).to_bytes(4, "little"), b"data" + b"\xff" * 4)

    def piped(directory):  # as FFmpeg, Sox and recorders write to a pipe
        path = media.sound(directory / "a.wav")
        media.replace(path, b"data" + (8000).to_bytes(4, "little"), b"data" + (0x7FFFF000).to_bytes(4, "little"))

    def opus(directory):
        media.sound(directory / "a.ogg", media.sine(48_000), 48_000, subtype="OPUS").rename(directory / "a.opus")

    def m4a(name="a.m4a"):
        return lambda directory: media.clip(
            directory / name, np.zeros((0, 32, 32, 3), np.uint8), samples=media.sine(16_000), format="mp4"
        )

    def declared(directory):  # 2^35 samples, in the 36-bit field of STREAMINFO
        content = bytearray(media.sound(directory / "a.flac").read_bytes())
        content[21] |= 0x08
        (directory / "a.flac").write_bytes(content)

    def header_rate(rate):
        def make(directory):
            media.replace(media.sound(directory / "a.wav"), (8000).to_bytes(4, "little"), rate.to_bytes(4, "little"))

        return make

    def spoilt(value):
        samples = media.sine()
        samples[100] = value
        return sound(samples=samples, subtype="FLOAT")

    stereo = np.stack([media.sine(), np.zeros(4000)], 1)
    tone = {
        "stereo": sound(samples=stereo),
        "four channels": sound(samples=np.repeat(stereo, 2, 1)),
        "44.1 kHz": sound(rate=44_100),
        "11,025 Hz": sound(rate=11_025),
        "a prime rate": sound(rate=44_101),
        "192 kHz": sound(rate=192_000),
        "8 bits": sound(subtype="PCM_U8"),
        "24 bits": sound(subtype="PCM_24"),
        "64-bit floats": sound(subtype="DOUBLE"),
        "flac": sound("a.flac"),
        "ogg": sound("a.ogg"),
        "mp3": sound("a.mp3"),
        "flac named wav": lambda d: media.sound(d / "a.flac").rename(d / "a.wav"),
        "streamed wav": streamed,
        "piped wav": piped,
        "wav with bytes behind its end": lambda d: media.append(media.sound(d / "a.wav"), b"\1" * 99),
        "aiff": sound("a.aiff"),
        "opus": opus,
        "m4a": m4a(),
        "m4a named wav": m4a("a.wav"),
        "the sound of a clip": lambda d: media.clip(d / "a.mp4", samples=media.sine(16_000)),
        "the sound of a mov": lambda d: media.clip(d / "a.mov", samples=media.sine(16_000)),
    }
    whole, format_ = (
        ("audio.size", "a whole file", "cut off"),
        ("audio.content", "a WAV, AIFF, FLAC, Ogg, Opus, MP3"),
    )
    refuse = {
        "truncated wav": (lambda d: media.cut(media.sound(d / "a.wav")), whole),
        "truncated flac": (lambda d: media.cut(media.sound(d / "a.flac")), ("audio.content", "a whole recording")),
        "truncated aiff": (lambda d: media.cut(media.sound(d / "a.aiff")), whole),
        "truncated ogg": (lambda d: media.cut(media.sound(d / "a.ogg")), ("audio.content",)),
        "truncated m4a": (lambda d: (m4a()(d), media.cut(d / "a.m4a")), whole),
        "clip without sound": (lambda d: media.clip(d / "a.mp4"), ("audio.track", "an audio track")),
        "truncated mp3": (lambda d: media.cut(media.sound(d / "a.mp3")), ("audio.length", "4000 samples")),
        "wav of zero length": (sound(samples=np.zeros(0)), ("audio.length", "1 to", "0 x 1 channels")),
        "wav header alone": (write("a.wav", b"RIFF\x24\0\0\0WAVE"), format_),
        "empty wav": (write("a.wav", b""), ("audio.size", "an empty file")),
        "text named wav": (write("a.wav", "hello"), format_),
        "image named mp3": (lambda d: media.picture(d / "a.png").rename(d / "a.mp3"), ("audio.",)),
        "not a number": (spoilt(np.nan), ("audio.range", "finite samples", "nan at sample 100")),
        "infinite": (spoilt(np.inf), ("audio.range", "finite samples", "inf at sample 100")),
        "scaled to 16 bits": (spoilt(32768.0), ("audio.range", "samples in [-1, 1]", "3.277e+04")),
        "declared length of 2^35": (declared, ("audio.length", "1 to")),
        "declared rate of 1 Hz": (header_rate(1), ("audio.sample_rate", "1000 to 192000 Hz", "1 Hz")),
        "declared rate of 2 GHz": (header_rate(2_000_000_000), ("audio.", "Hz")),
    }
    short, long = sound(samples=media.sine(seconds=0.25)), sound(samples=np.linspace(0, 1, 8000))
    return [
        *(Case(f"audio: {n}", w, audio, converted=lambda x: has_pitch(x, 440)) for n, w in tone.items()),
        Case("audio: stereo is averaged", sound(samples=stereo), audio, converted=lambda x: is_near(x.max(), 0.25)),
        Case("audio: short", short, audio, converted=lambda x: has_pitch(x[:2000], 440) and not x[2000:].any()),
        Case("audio: long", long, audio, converted=lambda x: is_near(x, np.linspace(0, 0.5, 4000), 1e-3)),
        Case("audio: overshoot", spoilt(1.5), audio, converted=lambda x: x.max() == 1 and x[99] < 1),
        Case("audio: silent", sound(samples=np.zeros(4000)), audio, converted=lambda x: not x.any()),
        *(Case(f"audio: {n}", w, audio, refused=parts) for n, (w, parts) in refuse.items()),
    ]


def video_cases() -> list[Case]:
    ramp = np.arange(74, dtype=np.uint8)[:, None, None, None] * np.full((1, 32, 32, 3), 3, np.uint8)

    def clip(name="a.mp4", frames=None, **options):
        return lambda directory: media.clip(directory / name, frames, **options)

    def trailed(name, behind, **options):
        return lambda directory: media.append(media.clip(directory / name, ramp, **options), behind)

    def see_through(directory):
        pictures = [uniform("RGBA", color) for color in ((0, 0, 0, 0), (255, 0, 0, 255))]
        pictures[1].save(directory / "a.gif", save_all=True, append_images=[pictures[0]], disposal=2, duration=100)
        pictures[0].save(directory / "a.gif", save_all=True, append_images=[pictures[1]], disposal=2, duration=100)

    def turned(directory):
        frames = np.zeros((4, 32, 32, 3), np.uint8)
        frames[:, :, :16] = 255  # the left half; the matrix of a phone that was held upright shows it on top
        path, one, minus = media.clip(directory / "a.mp4", frames), b"\0\1\0\0", b"\xff\xff\0\0"
        still, turn = one + bytes(12) + one + bytes(12), bytes(4) + one + bytes(4) + minus + bytes(16)
        content = path.read_bytes()
        at = content.index(still, content.index(b"tkhd"))
        path.write_bytes(content[:at] + turn + content[at + len(still) :])

    whole, format_ = (
        ("video.size", "a whole file", "cut off"),
        ("video.content", "an MP4, MOV, WebM, MKV, AVI or GIF"),
    )
    no_frames = np.zeros((0, 32, 32, 3), np.uint8)
    refuse = {
        "truncated mp4": (lambda d: media.cut(media.clip(d / "a.mp4")), whole),
        "truncated mp4, index first": (lambda d: media.cut(media.clip(d / "a.mp4", movflags="faststart")), whole),
        "truncated gif": (lambda d: media.cut(media.clip(d / "a.gif", codec="gif")), whole),
        "truncated avi": (lambda d: media.cut(media.clip(d / "a.avi", codec="mpeg4")), whole),
        "truncated mkv": (lambda d: media.cut(media.clip(d / "a.mkv")), whole),
        "truncated webm": (lambda d: media.cut(media.clip(d / "a.webm", codec="libvpx")), whole),
        "mp4 with a damaged block": (
            lambda d: media.overwrite(media.clip(d / "a.mp4"), data=b"\xff" * 1500),
            ("video.frame ", "undamaged data"),
        ),
        "mp4 of sound alone": (clip(frames=no_frames, samples=media.sine(16_000)), ("video.format", "a video track")),
        "empty mp4": (write("a.mp4", b""), ("video.size", "an empty file")),
        "text named mp4": (write("a.mp4", "hello"), format_),
        "image named gif": (lambda d: media.picture(d / "a.png").rename(d / "a.gif"), ("video.",)),
        "sound named mp4": (lambda d: media.sound(d / "a.wav").rename(d / "a.mp4"), ("video.format", "wav")),
    }
    middle = 6 * np.array([9, 27, 46, 64]) / 255 - 1  # frames (t + 1/2) 74/4 of the ramp, rounded down
    return [
        Case(
            "video: 74 frames", clip(frames=ramp), video, converted=lambda x: is_near(x.mean((1, 2, 3)), middle, 0.03)
        ),
        Case(
            "video: longer than asked for at its own rate",
            clip(frames=ramp),
            lambda d: read_video(first(d), (3, 8, 8, 3), 25.0),
            converted=lambda x: is_near(x.mean((1, 2, 3)), 6 * np.arange(3) / 255 - 1, 0.05),
        ),
        Case("video: one frame", clip(frames=ramp[40:41]), video, converted=lambda x: bool((x == x[0]).all())),
        Case("video: gif", clip("a.gif", codec="gif"), video, converted=lambda x: x.std() > 0.1),
        Case("video: see-through gif", see_through, video, converted=lambda x: is_near(x[0], 1)),
        Case(
            "video: webm",
            clip("a.webm", ramp, codec="libvpx"),
            video,
            converted=lambda x: is_near(x[2], middle[2], 0.1),
        ),
        *(
            Case(f"video: {name}", write_one, video, converted=lambda x: is_near(x.mean((1, 2, 3)), middle, 0.1))
            for name, write_one in {
                "mov": clip("a.mov", ramp),
                "mkv": clip("a.mkv", ramp),
                "avi": clip("a.avi", ramp, codec="mpeg4"),
                "mp4 with a vendor's box behind it": trailed("a.mp4", b"\0\0\0\x14vndrphone trailer"),
                "mp4 with a vendor's bytes behind it": trailed("a.mp4", b"SEFTphone\xff" * 9),
                "gif with bytes behind its end": trailed("a.gif", b"\x01made by a camera", codec="gif"),
            }.items()
        ),
        Case("video: rotation flag", turned, video, converted=lambda x: white_on_top(x[0])),
        *(Case(f"video: {n}", w, video, refused=parts) for n, (w, parts) in refuse.items()),
        Case("video: sound", clip(samples=media.sine(16_000)), sound_of_video, converted=lambda x: has_pitch(x, 440)),
        Case("video: no sound", clip(), sound_of_video, refused=("audio.track", "an audio track", "none")),
    ]
