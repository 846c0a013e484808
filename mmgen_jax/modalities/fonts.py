"""Draws words into pictures, with Pillow's own font, or with a system font where Pillow's font lacks a character."""

from __future__ import annotations

import bisect
import functools
import io
import os
import pathlib
import re
import struct
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from absl import logging

SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")
STYLES = re.compile(r"bold|italic|oblique|light|thin|black|medium|condensed|mono|serif|math|semi|extra", re.I)
BITMAP_SIZES = (109, 136, 128, 96, 64, 160)  # px, the possible sizes of a font of coloured bitmaps
SHOWN = 8  # missing characters that the warning names
_warned: set[str] = set()


def folders() -> tuple[pathlib.Path, ...]:
    """The folders in which the system and the user keep fonts."""
    home = pathlib.Path.home()
    if sys.platform == "darwin":
        found = ["/System/Library/Fonts", "/Library/Fonts", home / "Library/Fonts"]
    elif sys.platform == "win32":
        local, system = os.environ.get("LOCALAPPDATA", home / "AppData/Local"), os.environ.get("WINDIR", "C:/Windows")
        found = [f"{system}/Fonts", f"{local}/Microsoft/Windows/Fonts"]
    else:
        shared = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
        found = [home / ".fonts", home / ".local/share/fonts", *(f"{part}/fonts" for part in shared.split(":"))]
    return tuple(map(pathlib.Path, found))


def length(text: str, size: int) -> float:
    """The width of a line, px."""
    return sum(face.length(part, size) for part, face in _runs(text))


def draw(picture: Any, place: tuple[float, float], text: str, fill: str, size: int) -> None:
    """Draws a line; `place` is its upper left corner in the PIL image. A character that no font has becomes a box."""
    x, y = place
    baseline = y + _own().font(size)[0].getmetrics()[0]
    for part, face in _runs(text):
        face.draw(picture, (x, baseline), part, fill, size)
        x += face.length(part, size)


def check(texts: Iterable[str]) -> None:
    """Logs the characters of the texts that no font has, each character once."""
    characters = {character for text in texts for character in text if not _is_mark(character)}
    missing = {character for character in characters - _warned if _face_of(character) is None}
    if new := sorted(missing):
        _warned.update(new)
        few = " ".join(new[:SHOWN]) + (" …" if len(new) > SHOWN else "")
        logging.warning(
            "no font of this system has %d characters of the captions (%s): they are drawn as boxes. Install one that "
            "has them (Debian, Ubuntu: apt install fonts-noto-core fonts-noto-cjk fonts-noto-color-emoji), or put its "
            "file into ~/.fonts; texts and samples are not changed by it",
            len(new),
            few,
        )


class Face:
    """A font file (of a collection, the first font): tells whether it has a character, and draws text at any size."""

    def __init__(self, source: pathlib.Path | bytes):
        self.source = source
        self._known: dict[str, bool] = {}
        with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as file:
            self._tables = list(_character_maps(file))

    def __contains__(self, character: str) -> bool:
        if character not in self._known:
            self._known[character] = any(has(ord(character)) for has in self._tables)
        return self._known[character]

    @functools.cache  # noqa: B019  (a face lives as long as the process)
    def font(self, size: int) -> tuple[Any, float]:
        """The PIL font, and the factor from its size to the requested size."""
        import PIL.ImageFont

        for loaded in (size, *BITMAP_SIZES):
            source = io.BytesIO(self.source) if isinstance(self.source, bytes) else str(self.source)
            engine = PIL.ImageFont.Layout.BASIC if isinstance(self.source, bytes) else None  # as Pillow has its own
            try:
                return PIL.ImageFont.truetype(source, loaded, layout_engine=engine), size / loaded
            except OSError:  # a font of bitmaps has only its own sizes
                continue
        return _own().font(size)

    def length(self, text: str, size: int) -> float:
        font, scale = self.font(size)
        return font.getlength(text) * scale

    def draw(self, picture: Any, place: tuple[float, float], text: str, fill: str, size: int) -> None:
        """Draws a text; its base line begins at `place`."""
        import PIL.Image
        import PIL.ImageDraw

        font, scale = self.font(size)
        text = _ordered(text)
        if scale == 1:
            PIL.ImageDraw.Draw(picture).text(place, text, fill=fill, font=font, anchor="ls", embedded_color=True)
            return
        left, top, right, bottom = font.getbbox(text, anchor="ls")
        layer = PIL.Image.new("RGBA", (max(1, int(right - left)), max(1, int(bottom - top))))
        PIL.ImageDraw.Draw(layer).text((-left, -top), text, fill=fill, font=font, anchor="ls", embedded_color=True)
        small = layer.resize((max(1, round(layer.width * scale)), max(1, round(layer.height * scale))))
        picture.paste(small, (round(place[0] + left * scale), round(place[1] + top * scale)), small)


@functools.cache
def _own() -> Face:
    """Pillow's own font, which knows Latin letters."""
    import PIL.ImageFont

    return Face(getattr(PIL.ImageFont.load_default(10), "font_bytes"))  # noqa: B009  (its types do not know it)


@functools.cache
def _others(places: Sequence[pathlib.Path]) -> tuple[pathlib.Path, ...]:
    """The font files below the folders, upright and of normal weight first."""
    found = [file for place in places if place.is_dir() for file in place.rglob("*") if file.suffix.lower() in SUFFIXES]
    return tuple(sorted(found, key=lambda file: (len(STYLES.findall(file.stem)), len(file.stem), str(file))))


@functools.cache
def _face(file: pathlib.Path) -> Face | None:
    """The face of a font file; None where the file cannot be read."""
    try:
        return Face(file)
    except (OSError, struct.error, ValueError):
        return None


def _faces() -> Iterator[Face]:
    yield _own()
    yield from filter(None, map(_face, _others(folders())))


def _face_of(character: str) -> Face | None:
    return next((face for face in _faces() if character in face), None)


def _runs(text: str) -> list[tuple[str, Face]]:
    """The parts of a line with their faces, from left to right; one part where one face has all characters."""
    drawn = {character for character in text if not _is_mark(character)}
    if whole := next((face for face in _faces() if all(map(face.__contains__, drawn))), None):
        return [(text, whole)]
    faces = {character: _face_of(character) for character in drawn}
    runs: list[tuple[str, Face]] = []
    for character in text:
        face = runs[-1][1] if runs and _is_mark(character) else faces.get(character) or _own()
        if runs and runs[-1][1] is face:
            runs[-1] = runs[-1][0] + character, face
        else:
            runs.append((character, face))
    return runs[::-1] if _is_right_to_left(text) else runs


def _is_mark(character: str) -> bool:
    """Whether a character is drawn with the previous character, or not at all: accent, joiner, selector, space."""
    return character.isspace() or unicodedata.category(character) in ("Mn", "Me", "Cf", "Cc")


def _is_right_to_left(text: str) -> bool:
    """Whether the first letter that has a direction is right-to-left."""
    directions = (unicodedata.bidirectional(character) for character in text)
    return next((direction != "L" for direction in directions if direction in ("L", "R", "AL")), False)


@functools.cache
def _shapes_text() -> bool:
    """Whether Pillow joins letters and orders them by their direction."""
    import PIL.features

    return bool(PIL.features.check("raqm"))


def _ordered(text: str) -> str:
    return text[::-1] if _is_right_to_left(text) and not _shapes_text() else text


def _character_maps(file: Any) -> Iterator[Any]:
    """Functions that tell whether a code point has a glyph, from the table `cmap` (OpenType 1.9, formats 4 and 12)."""
    start = file.read(12)
    at = 0
    if start[:4] == b"ttcf":
        (at,) = struct.unpack(">I", file.read(4))
        file.seek(at)
        start = file.read(12)
    tables = {}
    for _ in range(struct.unpack(">4xH6x", start)[0]):
        name, offset, size = struct.unpack(">4s4xII", file.read(16))
        tables[name] = offset, size
    if b"cmap" not in tables:
        return
    offset, size = tables[b"cmap"]
    file.seek(offset)
    data = file.read(size)
    for i in range(struct.unpack_from(">H", data, 2)[0]):
        platform, encoding, place = struct.unpack_from(">HHI", data, 4 + 8 * i)
        form = struct.unpack_from(">H", data, place)[0]
        if (platform, encoding) in ((0, 3), (0, 4), (0, 6), (3, 1), (3, 10)) and form in (4, 12):
            yield functools.partial(_in_segments if form == 4 else _in_groups, data[place:])


def _in_segments(table: bytes, code: int) -> bool:
    """Whether a table of format 4 has a glyph for a code point."""
    count = struct.unpack_from(">H", table, 6)[0] // 2
    ends = struct.unpack_from(f">{count}H", table, 14)
    if (i := bisect.bisect_left(ends, code)) == count:
        return False
    start, delta, offset = (struct.unpack_from(">H", table, 16 + 2 * (i + k * count))[0] for k in (1, 2, 3))
    if code < start:
        return False
    if not offset:
        return (code + delta) % 2**16 != 0
    place = 16 + 2 * (i + 3 * count) + offset + 2 * (code - start)
    return place + 2 <= len(table) and struct.unpack_from(">H", table, place)[0] != 0


def _in_groups(table: bytes, code: int) -> bool:
    """Whether a table of format 12 has a glyph for a code point."""
    low, high = 0, struct.unpack_from(">I", table, 12)[0]
    while low < high:
        middle = (low + high) // 2
        start, end, glyph = struct.unpack_from(">III", table, 16 + 12 * middle)
        if code < start:
            high = middle
        elif code > end:
            low = middle + 1
        else:
            return glyph + code - start != 0
    return False
