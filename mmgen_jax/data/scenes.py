"""The built-in data set `scenes`: captions, pictures, clips and sounds of one object, rendered on the fly.

Example i of a split is a function of (seed, split, i); nothing is stored. All modalities of an example show the same
factors: `shape`, `color`, `size`, `motion`. The image is frame `num_frames // 2` of the video. `train` and `test` have
the same 30 pairs of shape and colour; `compositional` has the other 6 pairs, which training never shows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from mmgen_jax.config.ranges import Amount, Seconds, Seed, Side, Size
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
      names: the modalities to render, some of `text image video audio shape color size motion`; () is all of them.
      seed: of all examples; another seed gives other examples of the same distribution.
      num_train, num_test, num_compositional: examples in each split.
      image_size: side of image and video in pixels, at least 16.
      num_frames: frames of the video, which lasts as long as the sound.
      audio_seconds: length of the sound and the video, at least 0.25.
      sample_rate: of the sound in Hz, at least 7,200.
      text_length: ids of a caption with END, padded.
      tell_motion: whether captions may tell the motion; False for captioning of images, which do not show the motion.

    Raises:
      ConfigError: an unknown split or modality, or a field below its least value.
    """

    splits: ClassVar[tuple[str, ...]] = SPLITS
    caption_labels: ClassVar[tuple[str, ...]] = tuple(FACTORS)

    split: str = "train"
    names: tuple[str, ...] = ()
    seed: Seed = 0
    num_train: Amount = 50_000
    num_test: Amount = 2_000
    num_compositional: Amount = 2_000
    image_size: Side = 32
    num_frames: Size = 8
    audio_seconds: Seconds = 0.5
    sample_rate: Size = 8_000
    text_length: Size = 16
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
        """Operations of `training.augment.MEANING` that leave the other modalities true.

        A mirrored or reversed clip shows another motion. So `flip` and `reverse` are allowed only without modalities
        that tell the motion: caption, sound and the label `motion`. `hue` and `zoom` are never allowed, because colour
        and size are factors.
        """
        return () if {"text", "audio", "motion"} & set(self.names or NAMES) else ("flip", "reverse")

    def __len__(self) -> int:
        return getattr(self, f"num_{self.split}")

    def read(self, indices: np.ndarray, epochs: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """A batch of examples; the same in every epoch.

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
