"""Emoji: Noto glyphs with their Unicode names and keywords.

- image: the glyph on white, 32 pixels a side unless told otherwise.
- image_128: the same glyph at 128: with `image`, a low- and a high-resolution view of one picture.
- text: its name ("woman running: facing right"), or its name and keywords.
- keywords: of the glyph, joined by commas ("hash, hashtag, lb, number, pound, sign").

Homes: https://github.com/googlefonts/noto-emoji (`png/32`, `png/128`; images Apache-2.0, fonts OFL 1.1, flags public
domain) and https://github.com/unicode-org/cldr-json (`annotations.json` of `cldr-annotations-full` and
`annotationsDerived.json` of `cldr-annotations-derived-full`, language en; Unicode License v3). In `$MMGEN_DATA/emoji`:
`png32/` and `png128/` with `emoji_u<code points>.png`, `annotations_en.json`, `annotationsDerived_en.json`.

Glyph and annotation are joined on their code points without the variation selector U+FE0F. Left out: skin-tone
variants, and glyphs without an annotation, which are no emoji of their own (38 of 1,688: ten digits, 26 regional
indicator letters, the keycap U+20E3 and the private U+FE82B). Curly quotes in names become straight ones.

Splits: `local.split_of` of the code points; of the 1,650 glyphs 1,297 train, 181 validation, 172 test.
The vocabulary is that of the training texts, and open: other words are `UNKNOWN`, which one in three words of the
validation and test names is, and one in eight of the keywords. `text_unit` `character` or `byte` has no such loss.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
from typing import ClassVar

from mmgen_jax.data import local
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.tokenizer import build

ANNOTATIONS = {"annotations_en.json": "annotations", "annotationsDerived_en.json": "annotationsDerived"}
SELECTOR = "\ufe0f"  # asks for the colourful form of a character; names of the files lack it
SKIN_TONES = {f"1f3f{digit}" for digit in "bcdef"}
STRAIGHT = str.maketrans("‘’“”", "''\"\"")


@dataclasses.dataclass(kw_only=True)
class Source(local.LocalSource):
    """The emoji set. No operation of `augment.MEANING` leaves it true: names tell colours and sides.

    Args:
      split: `train`, `validation` or `test`.
      names: of `text`, `keywords`, `image`, `image_128`; () is all.
      directory: of the set; "" is `$MMGEN_DATA/emoji`.
      image_size: side in pixels: 32, 128, or a size from 16 to 128 that is resized from 128.
      text: `name`, or `name_and_keywords`, which joins them by a colon.
      text_unit: of both texts: `word`, `character` or `byte`.
      text_length, keywords_length: ids, with END; 0 is the longest of the set (in words: 10 of names, 33 of keywords).
    """

    available: ClassVar[tuple[str, ...]] = ("text", "keywords", "image", "image_128")
    layout: ClassVar[tuple[str, ...]] = ("png32", "png128", *ANNOTATIONS)
    home: ClassVar[str] = "https://github.com/googlefonts/noto-emoji and https://github.com/unicode-org/cldr-json"

    image_size: int = 32
    text: str = "name"
    text_unit: str = "word"
    text_length: int = 0
    keywords_length: int = 0

    def _load(self) -> None:
        self.require("image_size", "16 to 128", 16 <= self.image_size <= 128)
        self.require("text", "name or name_and_keywords", self.text in ("name", "name_and_keywords"))
        self.require("text_unit", "word, character or byte", self.text_unit in ("word", "character", "byte"))
        annotations = self._annotations()
        self.code_points, glyphs = [], []  # of the glyphs that have an annotation, in the order of their file names
        for path in sorted((self.root / "png128").glob("emoji_u*.png")):
            code_points = path.stem.removeprefix("emoji_u").split("_")
            characters = "".join(chr(int(point, 16)) for point in code_points).replace(SELECTOR, "")
            if characters in annotations and not SKIN_TONES & set(code_points):
                self.code_points.append("_".join(code_points))
                glyphs.append(annotations[characters])
        self._rows = local.rows_of(self.split, self.code_points)
        texts = {
            "text": [name if self.text == "name" else f"{name}: {', '.join(words)}" for name, words in glyphs],
            "keywords": [", ".join(words) for _, words in glyphs],
        }
        training = local.rows_of("train", self.code_points)
        for name in texts.keys() & set(self.names):
            tokenizer = build((texts[name][row] for row in training), self.text_unit)
            length = getattr(self, f"{name}_length")
            length = length or 1 + max((len(tokenizer.split(text)) for text in texts[name]), default=0)
            self.modalities[name], self._columns[name] = self._texts(name, texts[name], tokenizer, length)
        for name, size in (("image", self.image_size), ("image_128", 128)):
            if name in self.names:
                self._load_images(name, size)

    def _load_images(self, name: str, size: int) -> None:
        modality = self.modalities[name] = Modality("image", (size, size, 3))
        files = [self.root / f"png{32 if size == 32 else 128}" / f"emoji_u{point}.png" for point in self.code_points]
        self._columns[name] = self._decoded(name, files, modality, lambda path: modality.traits.read_file(path, name))

    def _annotations(self) -> dict[str, tuple[str, list[str]]]:
        """`{characters without selectors: (name, keywords)}`."""
        annotations = {}
        for file, field in ANNOTATIONS.items():
            path = pathlib.Path(self.root / file)
            try:
                entries = json.loads(path.read_text(encoding="utf-8"))[field]["annotations"]
            except (ValueError, KeyError, TypeError) as error:
                expected = f"the CLDR's JSON with {field}.annotations"
                raise self.error(path, "text", "json", expected, repr(error), "fetch it again") from None
            for characters, entry in entries.items():
                if "tts" in entry:
                    name, *words = (
                        re.sub(r"\s+", " ", word.translate(STRAIGHT))
                        for word in (entry["tts"][0], *entry.get("default", ()))
                    )
                    annotations[characters.replace(SELECTOR, "")] = (name, words)
        return annotations
