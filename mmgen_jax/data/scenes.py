"""The built-in world `scenes`: captions, pictures, clips and sounds of one thing, rendered on the fly.

Example i of a split is a function of (seed, split, i); no two are alike and nothing is stored. Its modalities show the
same factors: `shape`, `color`, `size`, `motion`. The image is the frame `num_frames // 2` of the video. `train` and
`test` have the same 30 pairs of shape and colour; `compositional` has the other 6, which training never shows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from mmgen_jax.errors import ConfigError
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.scenes import audio, image, text
from mmgen_jax.scenes.factors import COLORS, FACTORS, MOTIONS, SHAPES, SIZES, SPLITS, draws, keys, sample

__all__ = ["COLORS", "FACTORS", "MOTIONS", "SHAPES", "SIZES", "Source"]

NAMES = ("text", "image", "video", "audio", *FACTORS)


@dataclasses.dataclass(frozen=True)
class Source:
    """The scenes world.

    Args:
      split: `train`, `test` or `compositional`.
      names: the modalities to render, of `text image video audio shape color size motion`; () is all of them.
      seed: of the whole world; another seed gives other examples of the same distribution.
      num_train, num_test, num_compositional: examples in each split.
      image_size: pixels of a side, of image and video.
      num_frames: of the video, which is as long as the sound.
      audio_seconds, sample_rate: of the sound.
      text_length: ids of a caption, with END and padding.
      tell_motion: whether captions may tell the motion; False for a model that writes them after a picture, which does
        not show it.
    """

    splits: ClassVar[tuple[str, ...]] = SPLITS
    caption_labels: ClassVar[tuple[str, ...]] = tuple(FACTORS)

    split: str = "train"
    names: tuple[str, ...] = ()
    seed: int = 0
    num_train: int = 50_000
    num_test: int = 2_000
    num_compositional: int = 2_000
    image_size: int = 32
    num_frames: int = 8
    audio_seconds: float = 0.5
    sample_rate: int = 8_000
    text_length: int = 16
    tell_motion: bool = True

    def __post_init__(self):
        if self.split not in self.splits:
            raise ConfigError(f"scenes.split: {self.split!r} does not exist; the splits are {', '.join(self.splits)}")
        if unknown := sorted(set(self.names) - set(NAMES)):
            raise ConfigError(f"scenes.names: no modality {unknown[0]!r}; there are: {', '.join(NAMES)}")
        for field, least in (
            *(("image_size", 16), ("num_frames", 1), ("text_length", text.MIN_LENGTH)),
            *(("sample_rate", audio.MIN_SAMPLE_RATE), ("audio_seconds", 0.25)),
            *(("num_train", 1), ("num_test", 1), ("num_compositional", 1)),
        ):
            if getattr(self, field) < least:
                raise ConfigError(f"scenes.{field}: expected at least {least}, got {getattr(self, field)}; raise it")

    @property
    def modalities(self) -> dict[str, Modality]:
        frame = (self.image_size, self.image_size, 3)
        known = {
            "text": Modality("text", (self.text_length,), tokenizer=text.TOKENIZER),
            "image": Modality("image", frame),
            "video": Modality("video", (self.num_frames, *frame), frame_rate=self.num_frames / self.audio_seconds),
            "audio": Modality("audio", (self._num_samples,), sample_rate=self.sample_rate),
            **{name: Modality("label", classes=classes) for name, classes in FACTORS.items()},
        }
        return {name: known[name] for name in self.names or NAMES}

    @property
    def label_preserving(self) -> tuple[str, ...]:
        """Mirrored or reversed, a clip shows another motion, which caption, sound and label tell; without them both are
        allowed. Another hue never is: the colour is a factor.
        """
        return () if {"text", "audio", "motion"} & set(self.names or NAMES) else ("flip", "reverse")

    def __len__(self) -> int:
        return getattr(self, f"num_{self.split}")

    def read(self, indices: np.ndarray, epochs: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """A batch; `epochs` changes nothing.

        Raises:
          IndexError: an index outside the split.
        """
        indices = np.atleast_1d(indices)
        if indices.size and not 0 <= indices.min() <= indices.max() < len(self):
            raise IndexError(
                f"scenes.read: expected indices in [0, {len(self)}) of {self.split}, got {indices.min()} to "
                f"{indices.max()}; set num_{self.split} for more examples"
            )
        key = keys(self.seed, self.split, indices)
        draw = draws(key)
        factors = sample(self.split, draw)
        names = self.names or NAMES
        batch = {name: factors[name] for name in FACTORS if name in names}
        if "text" in names:
            batch["text"] = text.render(factors, draw, self.text_length, self.tell_motion)
        if "video" in names:
            batch["video"] = image.render(factors, draw, key, self.image_size, self.num_frames)
        if "image" in names:
            if "video" in names:
                batch["image"] = batch["video"][:, self.num_frames // 2].copy()
            else:
                batch["image"] = image.render(factors, draw, key, self.image_size, 1)[:, 0]
        if "audio" in names:
            batch["audio"] = audio.render(factors, draw, key, self._num_samples, self.sample_rate)
        return {name: batch[name] for name in names}

    def true_captions(self, labels: Mapping[str, int]) -> list[str]:
        return text.paraphrases(labels, self.tell_motion)

    @property
    def _num_samples(self) -> int:
        return round(self.audio_seconds * self.sample_rate)
