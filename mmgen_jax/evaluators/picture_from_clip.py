"""Pictures drawn from a clip, beside pictures without a model: a frame of the clip, the mean or median of its frames.

    first, middle, last   a frame of the clip; of T frames counted from 0, the middle frame has the number T // 2
    mean, median          of each pixel over time

A frame of another size than the target is enlarged or reduced by Pillow's bicubic resampling; a grey frame counts as
three equal channels where the target has three.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mmgen_jax.config.ranges import Amount, Count
from mmgen_jax.contracts import Draw
from mmgen_jax.data.transforms.downsample import bicubic
from mmgen_jax.errors import ConfigError
from mmgen_jax.evaluators import needs
from mmgen_jax.evaluators.measures import fidelity, paired
from mmgen_jax.evaluators.measures.examples import collect
from mmgen_jax.modalities.modality import Modality


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Metrics of `fidelity.measure` for a picture, beside those of the pictures without a model.

    Args:
      target: the picture that the model draws.
      clip: the clip; also where the model does not read it.
      num_examples: at most this many examples of each split.
      splits: splits to evaluate.
      colour, border: as in `fidelity.measure`.
    """

    target: str
    clip: str = "clip"
    num_examples: Amount = 1000
    splits: tuple[str, ...] = ("test",)
    colour: fidelity.Colour = "rgb"
    border: Count = 0

    @property
    def names(self) -> tuple[str, ...]:
        return (self.clip,)

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        needs.modality(self, "target", needs.PICTURE, modalities)
        needs.modality(self, "clip", needs.CLIP, modalities)
        needs.conditions(conditions)
        channels = {name: modalities[name].shape[-1] for name in (self.target, self.clip)}
        if channels[self.clip] not in (1, channels[self.target]):
            raise ConfigError(
                f"clip: expected 1 channel or {channels[self.target]}, as the target, got {channels[self.clip]}; set "
                "clip to another clip"
            )

    def check(self, batch: Mapping[str, Any], conditions: Sequence[str]) -> None:
        """Raises InputError for a `colour` or a `border` that does not suit the target."""
        fidelity.check(np.shape(batch[self.target]), self.colour, self.border)

    def __call__(self, sampler: Draw, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`{"psnr" (dB), "ssim", "mse", "l1": {"value", "n", "num_frames", "interval", "baselines", "colour", …}}`.

        `num_frames` is the length of the clip. `baselines` are as in `measures/paired.py`, on the same examples.
        """
        samples, true = collect(sampler, batches, self.target, (self.target, self.clip), self.num_examples)
        real, clips = true[self.target], true[self.clip]
        measured = fidelity.measure(samples, real, self.colour, self.border)
        others = {
            name: fidelity.measure(resized(pictures, real.shape[1:]), real, self.colour, self.border)
            for name, pictures in without_model(clips).items()
        }
        about = {"num_frames": int(clips.shape[1]), **fidelity.about(self.colour, self.border, real.shape[-1])}
        return {
            metric: paired.entry(values, {name: other[metric] for name, other in others.items()}) | about
            for metric, values in measured.items()
        }


def without_model(clips: np.ndarray) -> dict[str, np.ndarray]:
    """`{name: pictures [N, H, W, C]}` of clips `[N, T, H, W, C]`."""
    return {
        "first": clips[:, 0],
        "middle": clips[:, clips.shape[1] // 2],
        "last": clips[:, -1],
        "mean": clips.mean(1, dtype=np.float64).astype(np.float32),
        "median": np.median(clips, axis=1).astype(np.float32),
    }


def resized(pictures: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Pictures `[N, h, w, C]` or `[N, h, w, 1]` as `[N, *shape]`, by bicubic resampling where the size differs."""
    if pictures.shape[1:3] != shape[:2]:
        pictures = np.stack([bicubic(picture, (shape[0], shape[1])) for picture in pictures])
    return np.broadcast_to(pictures, (len(pictures), *shape))
