"""Sounds: short recordings with their names.

- audio: the first `seconds` of the recording; recordings last up to 4 s, half of them below 0.4 s, three in four below
  1 s.
- text: the file's name as words.
- pack: `kenney` (clicks and cues of user interfaces) or `sonic_pi` (drums, bass, loops, ambience).

Homes, both CC0: https://kenney.nl/assets/interface-sounds and https://kenney.nl/assets/ui-audio (151 sounds in all),
https://github.com/sonic-pi-net/sonic-pi (`etc/samples`; here its 195 sounds of at most 4 s). In `$MMGEN_DATA/sounds`:
`kenney/` and `sonic_pi/`, each with FLAC, WAV, Ogg or MP3 files of any rate.

From file name to text: underscores become spaces. A number at the end, which counts variants, is removed (`click_001`
and `click5` give "click", `elec_blip2` gives "elec blip"), except where it belongs to the name: `bd_808`, `guit_em9`,
`loop_drone_g_97`. Abbreviations are kept (`bd` bass drum, `sn` snare, `perc` percussion, `guit` guitar, `elec`
electric).

Splits: `local.split_of` of the text, so that all variants of a name are in one split: of 346 sounds 275 train (146
names), 40 validation (20) and 31 test (18). The vocabulary is open, and built from the training texts; words outside it
become `UNKNOWN`.
"""

from __future__ import annotations

import dataclasses
import re
from typing import ClassVar

import numpy as np

from mmgen_jax.config.ranges import Seconds, Size
from mmgen_jax.data import local
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.tokenizer import UNITS, build

PACKS = ("kenney", "sonic_pi")
NUMBER_IS_NAME = ("bd_808", "guit_em9", "loop_drone_g_97")


def text_of(stem: str) -> str:
    """The text of a file name (given without its suffix)."""
    name = stem if stem in NUMBER_IS_NAME else re.sub(r"_?\d+$", "", stem)
    return " ".join(name.lower().split("_")) or stem


@dataclasses.dataclass(kw_only=True)
class Source(local.LocalSource):
    """The sounds set.

    Args:
      split: `train`, `validation` or `test`.
      names: some of `text`, `audio`, `pack`; () is all.
      directory: of the set; "" is `$MMGEN_DATA/sounds`.
      seconds: length of the audio, up to 10; longer sounds are cut at the end, shorter sounds padded with silence.
      sample_rate: in Hz, 4,000 to 48,000.
      text_length: ids with END; the longest text takes 5.
      text_unit: `word`, `character` or `byte`; `character` and `byte` need a `text_length` of up to 20.
    """

    available: ClassVar[tuple[str, ...]] = ("text", "audio", "pack")
    layout: ClassVar[tuple[str, ...]] = PACKS
    home: ClassVar[str] = "https://kenney.nl/assets/interface-sounds and https://github.com/sonic-pi-net/sonic-pi"

    seconds: Seconds = 1.0
    sample_rate: Size = 16_000
    text_length: Size = 6
    text_unit: str = "word"

    def _load(self) -> None:
        self.require("seconds", "above 0, to 10", 0 < self.seconds <= 10)
        self.require("sample_rate", "4000 to 48000", 4000 <= self.sample_rate <= 48000)
        self.require("text_unit", "word, character or byte", self.text_unit in UNITS)
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
