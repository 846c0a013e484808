"""A font file for tests, with any characters, each a black square."""

from __future__ import annotations

import pathlib
import struct

UNITS = 1000  # per em


def font(path: pathlib.Path, characters: str, form: int = 12) -> pathlib.Path:
    """A TrueType font that has these characters alone; `form` is that of its character map, 4 or 12."""
    codes = sorted(map(ord, characters))
    square = struct.pack(">hhhhhHH4B8h", 1, 100, 0, 900, 800, 3, 0, 1, 1, 1, 1, 100, 0, 800, 0, 0, 800, 0, -800)
    square += bytes(-len(square) % 4)
    if form == 12:
        groups = b"".join(struct.pack(">III", code, code, 1) for code in codes)
        table = struct.pack(">HHIII", 12, 0, 16 + len(groups), 0, len(codes)) + groups
        encoding = 10
    else:
        ends = [*codes, 0xFFFF]
        deltas = [*((1 - code) % 65536 for code in codes), 1]
        words = [*ends, 0, *ends, *deltas, *[0] * len(ends)]
        table = struct.pack(f">7H{len(words)}H", 4, 14 + 2 * len(words), 0, 2 * len(ends), 0, 0, 0, *words)
        encoding = 1
    tables = {
        b"cmap": struct.pack(">HHHHI", 0, 1, 3, encoding, 12) + table,
        b"glyf": square,
        b"head": struct.pack(
            ">IIIIHHQQhhhhHHhhh", 0x10000, 0, 0, 0x5F0F3CF5, 0, UNITS, 0, 0, 0, 0, 900, 800, 0, 8, 2, 1, 0
        ),
        b"hhea": struct.pack(">IhhhHhhhhhhhhhhhH", 0x10000, 800, -200, 0, UNITS, 0, 0, 900, 1, 0, 0, 0, 0, 0, 0, 0, 2),
        b"hmtx": struct.pack(">HhHh", UNITS, 0, UNITS, 100),
        b"loca": struct.pack(">III", 0, 0, len(square)),  # the glyph of missing characters is empty
        b"maxp": struct.pack(">IH13H", 0x10000, 2, 4, 1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0),
    }
    header, body = struct.pack(">IHHHH", 0x10000, len(tables), 64, 2, 48), b""
    for name, content in sorted(tables.items()):
        header += name + struct.pack(">III", 0, 12 + 16 * len(tables) + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    path.write_bytes(header + body)
    return path
