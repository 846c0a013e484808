"""DataError, and whether a media file is there and whole, told from its container without decoding it.

Decoders often take a file that was cut off for a shorter one; what its container declares tells the two apart.
"""

from __future__ import annotations

import os
import pathlib
import struct
from collections.abc import Callable
from typing import BinaryIO

from mmgen_jax.errors import DataError


def check(path, modality: str) -> None:
    """Raises DataError unless `path` is a readable file, not empty, and as long as its container says.

    The content decides which container it is; one that is not known here is left to its decoder. MP3 has no
    container: a decoder notices the missing frames where there is a Xing or Info header.
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


def _png(file: BinaryIO, size: int) -> bool:
    """Whether the chunks run up to IEND."""
    at = 8
    while at + 12 <= size:
        file.seek(at)
        length, name = struct.unpack(">I4s", file.read(8))
        at += 12 + length
        if name == b"IEND":
            return at <= size
    return False


def _jpeg(file: BinaryIO, size: int) -> bool:
    """Whether there is an end-of-image marker in the last 64 KiB; cameras put other data behind it."""
    file.seek(max(0, size - 2**16))
    return b"\xff\xd9" in file.read()


def _riff(file: BinaryIO, size: int) -> bool:
    """WAV and WebP: whether every chunk is whole; a length of 2^32 - 1 is a stream's, of unknown length."""
    at = 12
    while at + 8 <= size:
        file.seek(at)
        name, length = struct.unpack("<4sI", file.read(8))
        if length == 2**32 - 1:
            return True
        at += 8 + length
        if name == b"data":
            return at <= size
        at += length % 2
    return at <= size + 1  # the padding byte of the last chunk may be missing


def _ogg(file: BinaryIO, size: int) -> bool:
    """Whether the last page is whole and is marked as the end of the stream."""
    file.seek(max(0, size - 2**17))  # a page is at most 65,307 bytes
    tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < 27 or page[:4] != b"OggS":
        return False
    segments = page[26]
    return bool(page[5] & 4) and len(page) >= 27 + segments + sum(page[27 : 27 + segments])


def _mp4(file: BinaryIO, size: int) -> bool:
    """Whether the top-level boxes end where the file does, and hold an index (`moov`)."""
    at, names = 0, set()
    while at + 8 <= size:
        file.seek(at)
        length, name = struct.unpack(">I4s", file.read(8))
        if length == 1:
            extended = file.read(8)
            length = struct.unpack(">Q", extended)[0] if len(extended) == 8 else 0
        elif length == 0:  # up to the end of the file
            length = size - at
        if length < 8:
            return False
        names.add(name)
        at += length
    return at == size and b"moov" in names


def _webm(file: BinaryIO, size: int) -> bool:
    """Whether the segment ends where the file does; a length of all ones is a stream's, of unknown length."""
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
    """Whether there is a trailer at the end; some writers pad with zeros behind it."""
    file.seek(max(0, size - 64))
    return file.read().rstrip(b"\0").endswith(b";")


def _starts(magic: bytes, at: int = 0) -> Callable[[bytes], bool]:
    return lambda start: start[at : at + len(magic)] == magic


_CONTAINERS = (
    (_starts(b"\x89PNG\r\n\x1a\n"), _png),
    (_starts(b"\xff\xd8\xff"), _jpeg),
    (_starts(b"RIFF"), _riff),
    (_starts(b"OggS"), _ogg),
    (_starts(b"ftyp", 4), _mp4),
    (_starts(b"\x1a\x45\xdf\xa3"), _webm),
    (_starts(b"GIF8"), _gif),
)
