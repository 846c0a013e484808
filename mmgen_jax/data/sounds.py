"""Sounds: short recordings with what they are called.

- audio: from the start on; the sounds are up to 4 s long, half of them below 0.4 s, three in four below 1 s.
- text: the file's name as words.
- pack: `kenney` (clicks and cues of user interfaces) or `sonic_pi` (drums, bass, loops, ambience).

Homes, both CC0: https://kenney.nl/assets/interface-sounds and https://kenney.nl/assets/ui-audio (150 sounds and one
more), https://github.com/sonic-pi-net/sonic-pi (`etc/samples`; here the 195 of at most 4 s). In `$MMGEN_DATA/sounds`:
`kenney/` and `sonic_pi/`, each with FLAC, WAV, Ogg or MP3 files of any rate.

A name's text: underscores become spaces, and a number at its end, which counts variants, goes (`click_001` and `click5`
are "click", `elec_blip2` is "elec blip") but where it belongs to the name: `bd_808`, `guit_em9`, `loop_drone_g_97`.
Abbreviations stay as they are (`bd` bass drum, `sn` snare, `perc` percussion, `guit` guitar, `elec` electric).

Splits: `local.split_of` of the text, so all variants of a name fall in one: of 346 sounds 275 train (146 names), 40
validation (20) and 31 test (18). The vocabulary is that of the training texts, and open: other words are `UNKNOWN`.
"""

from __future__ import annotations

import dataclasses
import re
from typing import ClassVar

import numpy as np

from mmgen_jax.data import local
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.tokenizer import build

PACKS = ("kenney", "sonic_pi")
NUMBER_IS_NAME = ("bd_808", "guit_em9", "loop_drone_g_97")


def text_of(stem: str) -> str:
    """The text of a file's name without its suffix."""
    name = stem if stem in NUMBER_IS_NAME else re.sub(r"_?\d+$", "", stem)
    return " ".join(name.lower().split("_")) or stem


@dataclasses.dataclass(kw_only=True)
class Source(local.LocalSource):
    """The sounds set.

    Args:
      split: `train`, `validation` or `test`.
      names: of `text`, `audio`, `pack`; () is all.
      directory: of the set; "" is `$MMGEN_DATA/sounds`.
      seconds: a longer sound loses its end, a shorter one is followed by silence.
      sample_rate: in Hz.
      text_length: ids with END; the longest text takes 5.
      text_unit: `word`, `character` or `byte`; the latter two need a `text_length` of up to 20.
    """

    available: ClassVar[tuple[str, ...]] = ("text", "audio", "pack")
    layout: ClassVar[tuple[str, ...]] = PACKS
    home: ClassVar[str] = "https://kenney.nl/assets/interface-sounds and https://github.com/sonic-pi-net/sonic-pi"

    seconds: float = 1.0
    sample_rate: int = 16_000
    text_length: int = 6
    text_unit: str = "word"

    def _load(self) -> None:
        self.require("seconds", "above 0, to 10", 0 < self.seconds <= 10)
        self.require("sample_rate", "4000 to 48000", 4000 <= self.sample_rate <= 48000)
        self.require("text_unit", "word, character or byte", self.text_unit in ("word", "character", "byte"))
        audio = Modality("audio", (round(self.seconds * self.sample_rate),), sample_rate=self.sample_rate)
        files = [path for pack in PACKS for path in sorted((self.root / pack).iterdir())]
        files = [path for path in files if path.suffix.lower() in audio.traits.suffixes]
        self.texts = [text_of(path.stem) for path in files]
        self._rows = local.rows_of(self.split, self.texts)
        if "text" in self.names:
            training = (self.texts[row] for row in local.rows_of("train", self.texts))
            tokenizer = build(training, self.text_unit)
            self.modalities["text"], self._columns["text"] = self._texts(
                "text", self.texts, tokenizer, self.text_length
            )
        if "audio" in self.names:
            self.modalities["audio"] = audio
            self._columns["audio"] = self._decoded(
                "audio", files, audio, lambda path: audio.traits.read_file(path, "audio")
            )
        self.modalities["pack"] = Modality("label", classes=PACKS)
        self._columns["pack"] = np.array([PACKS.index(path.parent.name) for path in files], np.int32)
