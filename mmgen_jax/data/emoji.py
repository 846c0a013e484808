"""Emoji: Noto glyphs with their Unicode names and keywords.

- image: the glyph on white, with a side of `image_size` pixels (32 by default).
- image_128: the same glyph at 128 pixels; `image` and `image_128` are a low- and a high-resolution view of one picture.
- text: the name of the glyph ("woman running: facing right"), or its name and keywords.
- keywords: the keywords of the glyph, joined by commas ("hash, hashtag, lb, number, pound, sign").

Homes: https://github.com/googlefonts/noto-emoji (`png/32`, `png/128`; images Apache-2.0, fonts OFL 1.1, flags public
domain) and https://github.com/unicode-org/cldr-json (`annotations.json` of `cldr-annotations-full` and
`annotationsDerived.json` of `cldr-annotations-derived-full`, language en; Unicode License v3). In `$MMGEN_DATA/emoji`:
`png32/` and `png128/` with `emoji_u<code points>.png`, `annotations_en.json`, `annotationsDerived_en.json`.

Glyphs and annotations are joined by their code points, without the variation selector U+FE0F. Left out: skin-tone
variants, and glyphs without an annotation, which are no emoji of their own (38 of 1,688: ten digits, 26 regional
indicator letters, the keycap U+20E3 and the private U+FE82B). Curly quotes in names become straight quotes.

Splits: glyphs whose names differ only in gender, age, hair, direction or the members of a family form a group, and so
do all keycaps, clock faces, input symbols and snowmen (`family`); `local.split_of` of the code points of the group's
first glyph gives the split: of 1,650 glyphs 1,312 train, 178 validation, 160 test. In version 1 of the source, each
glyph had a split of its own, and 22 % of the test glyphs had such a variant in training.

The vocabulary is open, and built from the training texts; words outside it become `UNKNOWN`: in the validation and test
splits, four to five words in ten of the names and one in five of the keywords. With `text_unit` `byte` there is no
`UNKNOWN`.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
from typing import ClassVar

from mmgen_jax.config.ranges import Count, Side
from mmgen_jax.data import local
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.tokenizer import UNITS, build

ANNOTATIONS = {"annotations_en.json": "annotations", "annotationsDerived_en.json": "annotationsDerived"}
SELECTOR = "\ufe0f"  # selects the coloured form of a character; the names of the files lack it
SKIN_TONES = {f"1f3f{digit}" for digit in "bcdef"}
# VARIANT: words by which the names in a family differ. SERIES: families whose names have no other common word.
VARIANT = re.compile(
    r"(?:wo)?m[ae]n(?:'s)?|person|people|and|(?:up|down|left|right)(?:wards)?(?:-(?:left|right|facing|down))?"
)
SERIES = {
    r".*(?:o'clock|-thirty)": "clock face",
    r".* hair|bald": "hair",
    r"(?:older person|old man|old woman)": "old person",
    r"boy|girl|child": "child",
    r"prince|princess|person with crown": "prince",
    r"mer(?:man|maid|person)": "merperson",
    r"(?:santa|mrs\.|mx) claus": "claus",
    r"input .*": "input",
    r"snowman.*": "snowman",
}
STRAIGHT = str.maketrans("‘’“”", "''\"\"")


def family(name: str) -> str:
    """The family of a glyph: the same for all variants of a glyph, and for no other glyph."""
    name = name.lower().partition(":")[0]  # `man running: facing right`, `keycap: 3`, `family: man, woman, boy`
    for pattern, of in SERIES.items():
        if re.fullmatch(pattern, name):
            return of
    return " ".join(word for word in name.split() if not VARIANT.fullmatch(word)) or "person"


@dataclasses.dataclass(kw_only=True)
class Source(local.LocalSource):
    """The emoji set. No operation of `training.augment.MEANING` is label-preserving: names tell colours and sides.

    Args:
      split: `train`, `validation` or `test`.
      names: some of `text`, `keywords`, `image`, `image_128`; () is all.
      directory: of the set; "" is `$MMGEN_DATA/emoji`.
      image_size: side of `image` in pixels, 16 to 128; sizes other than 32 are resized from 128.
      text: `name`, or `name_and_keywords`: name, colon, keywords.
      text_unit: the unit of both texts: `word`, `character` or `byte`.
      text_length, keywords_length: ids with END; 0 is the longest text of the set (10 for names, 33 for keywords, in
        words).
    """

    available: ClassVar[tuple[str, ...]] = ("text", "keywords", "image", "image_128")
    layout: ClassVar[tuple[str, ...]] = ("png32", "png128", *ANNOTATIONS)
    version: ClassVar[int] = 2
    home: ClassVar[str] = "https://github.com/googlefonts/noto-emoji and https://github.com/unicode-org/cldr-json"

    image_size: Side = 32
    text: str = "name"
    text_unit: str = "word"
    text_length: Count = 0
    keywords_length: Count = 0

    def _load(self) -> None:
        self.require("image_size", "16 to 128", 16 <= self.image_size <= 128)
        self.require("text", "name or name_and_keywords", self.text in ("name", "name_and_keywords"))
        self.require("text_unit", "word, character or byte", self.text_unit in UNITS)
        annotations = self._annotations()
        self.code_points, glyphs = [], []  # of the glyphs with an annotation, in the order of their file names
        for path in sorted((self.root / "png128").glob("emoji_u*.png")):
            code_points = path.stem.removeprefix("emoji_u").split("_")
            characters = "".join(chr(int(point, 16)) for point in code_points).replace(SELECTOR, "")
            if characters in annotations and not SKIN_TONES & set(code_points):
                self.code_points.append("_".join(code_points))
                glyphs.append(annotations[characters])
        first: dict[str, str] = {}
        groups = [first.setdefault(family(name), points) for (name, _), points in zip(glyphs, self.code_points)]
        self._rows = local.rows_of(self.split, groups)
        self.families = [groups[row] for row in self._rows]
        texts = {
            "text": [name if self.text == "name" else f"{name}: {', '.join(words)}" for name, words in glyphs],
            "keywords": [", ".join(words) for _, words in glyphs],
        }
        training = local.rows_of("train", groups)
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
