"""Checks that a media file exists and is not truncated, from its container alone, without decoding.

The decoder decides whether a file can be used. But some decoders take a truncated file for a shorter file. For WAV,
AIFF, GIF and clips, the lengths that the container declares tell the two apart. Bytes after the end of the media are
not checked.
"""

from __future__ import annotations

import os
import pathlib
import struct
from collections.abc import Callable
from typing import BinaryIO

from mmgen_jax.errors import DataError

PIPE_LENGTH = 2**31 - 2**16  # bytes; writers to a pipe put 0x7ffff000, 0x7fffffff or 0xffffffff for a length


def check(path, modality: str) -> None:
    """Raises DataError unless `path` is a readable file, not empty, and its media as long as its container says.

    The container is recognised by the content, not by the suffix. Unknown containers are left to their decoder. MP3 has
    no container: its decoder detects missing frames only where the file has a Xing or Info header.
    """
    path = pathlib.Path(path)
    try:
        size = os.stat(path).st_size
        if not path.is_file():
            got = "a folder" if path.is_dir() else "a device"
            raise DataError(path, modality, "file", "a file", got, "remove it or rename it")
        if not size:
            raise DataError(path, modality, "size", "at least 1 byte", "an empty file", "replace it or remove it")
        with open(path, "rb") as file:
            start = file.read(12)
            is_whole = next((is_whole for matches, is_whole in _CONTAINERS if matches(start)), None)
            complete = is_whole is None or is_whole(file, size)
    except OSError as error:  # no such file, no permission, a loop of links, a name that is too long
        got = error.strerror or type(error).__name__
        raise DataError(
            path, modality, "file", "a readable file", got, "put it there or remove what names it"
        ) from error
    if not complete:
        raise DataError(path, modality, "size", "a whole file", f"{size} bytes, cut off or damaged", "replace it")


def _wav(file: BinaryIO, size: int) -> bool:
    """Whether the samples are whole; a length near 2 or 4 GiB, as programs write to a pipe, means unknown."""
    return _has_chunk(file, size, b"data", "<")


def _aiff(file: BinaryIO, size: int) -> bool:
    """As `_wav`."""
    return _has_chunk(file, size, b"SSND", ">")


def _has_chunk(file: BinaryIO, size: int, wanted: bytes, endian: str) -> bool:
    """False where the file ends inside the chunk `wanted`; bytes after this chunk are not checked."""
    at = 12
    while at + 8 <= size:
        file.seek(at)
        name, length = struct.unpack(endian + "4sI", file.read(8))
        at += 8 + length
        if name == wanted:
            return at <= size or length % 2**31 >= PIPE_LENGTH
        at += length % 2
    return at <= size + 1  # the padding byte of the last chunk may be missing


def _avi(file: BinaryIO, size: int) -> bool:
    """Whether the list of frames is whole."""
    at = 12
    while at + 12 <= size:
        file.seek(at)
        name, length, form = struct.unpack("<4sI4s", file.read(12))
        at += 8 + length + length % 2
        if (name, form) == (b"LIST", b"movi"):
            return at <= size + 1
    return False


def _mp4(file: BinaryIO, size: int) -> bool:
    """Whether index (`moov`) and media (`mdat`) are whole; a vendor may have put other data behind them."""
    at, names = 0, set()
    while at + 8 <= size:
        file.seek(at)
        length, name = struct.unpack(">I4s", file.read(8))
        if length == 1:
            extended = file.read(8)
            length = struct.unpack(">Q", extended)[0] if len(extended) == 8 else 0
        elif length == 0:  # up to the end of the file
            length = size - at
        if length < 8 or at + length > size:
            return {b"moov", b"mdat"} <= names and name not in (b"moov", b"moof", b"mdat")
        names.add(name)
        at += length
    return {b"moov", b"mdat"} <= names


def _webm(file: BinaryIO, size: int) -> bool:
    """Whether the segment ends within the file; a length of all ones marks a stream of unknown length."""
    at = 4
    for expected in (None, b"\x18\x53\x80\x67"):
        file.seek(at)
        if expected and file.read(4) != expected:
            return False
        at += 4 if expected else 0
        first = file.read(1)
        if not first or not first[0]:
            return False
        width = 9 - first[0].bit_length()
        value = int.from_bytes(bytes([first[0] & ((1 << (8 - width)) - 1)]) + file.read(width - 1), "big")
        if value == (1 << (7 * width)) - 1:
            return True
        at += width + value
    return at <= size


def _gif(file: BinaryIO, size: int) -> bool:
    """Whether the blocks run up to the trailer, or to the end of a file without a trailer."""
    return num_pictures(file) is not None


def num_pictures(file: BinaryIO, most: int = 2**31) -> int | None:
    """The pictures of an open GIF, counted up to `most`; None where one of its blocks is cut off."""
    file.seek(10)
    flags = file.read(3)
    _skip_colours(file, flags[:1])
    count = 0
    while count < most:
        kind = file.read(1)
        if kind == b"!":
            file.seek(1, os.SEEK_CUR)
        elif kind == b",":
            count += 1
            _skip_colours(file, file.read(9)[8:])
            file.seek(1, os.SEEK_CUR)
        else:  # the trailer, the end, or other bytes that some writers put there
            return count or None
        while length := file.read(1):
            if length == b"\0":
                break
            if len(file.read(length[0])) < length[0]:
                return None
        else:
            return None
    return count


def _skip_colours(file: BinaryIO, flags: bytes) -> None:
    if flags and flags[0] & 0x80:
        file.seek(3 << ((flags[0] & 7) + 1), os.SEEK_CUR)


def _starts(magic: bytes, at: int = 0) -> Callable[[bytes], bool]:
    return lambda start: start[at : at + len(magic)] == magic


def _riff(form: bytes) -> Callable[[bytes], bool]:
    return lambda start: start[:4] == b"RIFF" and start[8:12] == form


def _is_mp4(start: bytes) -> bool:
    """MP4, MOV and M4A; pictures (AVIF, HEIC) lie in the same boxes but have no index."""
    boxes, pictures = (
        (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"),
        (b"avif", b"avis", b"mif1", b"heic", b"heix"),
    )
    return start[4:8] in boxes and start[8:12] not in pictures


def is_clip(path) -> bool:
    """Whether a file begins like a container of video and sound, whatever its suffix; False where there is no file."""
    if not os.path.isfile(path) or not os.access(path, os.R_OK):
        return False
    with open(path, "rb") as file:
        start = file.read(12)
    return _is_mp4(start) or _starts(b"\x1a\x45\xdf\xa3")(start) or _riff(b"AVI ")(start)


_CONTAINERS = (
    (_riff(b"WAVE"), _wav),
    (_riff(b"AVI "), _avi),
    (_starts(b"FORM"), _aiff),
    (_starts(b"\x1a\x45\xdf\xa3"), _webm),
    (_starts(b"GIF8"), _gif),
    (_is_mp4, _mp4),
)
