"""Distance of a clip's frames from the true frames, for each time step: of predicted, converted and enlarged clips."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mmgen_jax.config.ranges import Amount
from mmgen_jax.contracts import Draw
from mmgen_jax.data.transforms import downsample
from mmgen_jax.errors import ConfigError
from mmgen_jax.evaluators import needs
from mmgen_jax.evaluators.measures import fidelity, frames, intervals, paired
from mmgen_jax.evaluators.measures.examples import collect
from mmgen_jax.modalities.modality import Modality


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Means over examples of the metrics of `frames.measure`, over all frames and for each frame.

    Baselines are rows of their own (`baselines/copy_last.py`, `black.py`, `mean_example.py`), except for the bicubic
    enlargement, which is measured beside the model where `small` is set.

    Args:
      target: the clip that the model draws.
      small: the condition with the clip at a smaller size, with as many frames; "": no enlargement is measured.
      num_examples: at most this many examples of each split.
      splits: splits to evaluate.
    """

    target: str
    small: str = ""
    num_examples: Amount = 1000
    splits: tuple[str, ...] = ("test",)

    @property
    def names(self) -> tuple[str, ...]:
        return ()

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        needs.modality(self, "target", needs.CLIP, modalities)
        needs.conditions(conditions)
        if self.small:
            needs.modality(self, "small", needs.CLIP, modalities)
            own, whole = modalities[self.small].shape, modalities[self.target].shape
            if (own[0], own[3]) != (whole[0], whole[3]):
                raise ConfigError(
                    f"small: expected the frames and channels of the target {list(whole)}, got {self.small!r} "
                    f"{list(own)}; set small to the target at a smaller size"
                )

    def __call__(self, sampler: Draw, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`{"mse", "mse_of_value", "psnr" (dB), "ssim": {"value", "n", "interval", "frames", "by_frame", …}}`.

        `value` is the mean over examples and frames, `frames` the number of frames of a clip, and `by_frame` has the
        value and the interval of each frame, in order. Intervals are of 95 %, by the normal approximation.

        Raises:
          InputError: a sample's value is outside of its range.
        """
        names = (self.target, self.small) if self.small else (self.target,)
        samples, true = collect(sampler, batches, self.target, names, self.num_examples)
        real = fidelity.unit(true[self.target])
        measured = frames.measure(fidelity.unit(samples), real)
        about = fidelity.about("rgb", 0, real.shape[-1])
        beside = {}
        if self.small:
            enlarged = [[downsample.bicubic(x, real.shape[2:4]) for x in clip] for clip in true[self.small]]
            beside["bicubic"] = frames.measure(fidelity.unit(np.array(enlarged)), real)
        entries = {
            metric: paired.entry(values.mean(1), {name: other[metric].mean(1) for name, other in beside.items()})
            | {"frames": values.shape[1], "by_frame": [_of_frame(column) for column in values.T]}
            | about
            for metric, values in measured.items()
        }
        for entry in entries.values():
            for baseline in entry["baselines"].values():
                baseline["how"] = downsample.BICUBIC
        return entries


def _of_frame(values: np.ndarray) -> dict[str, Any]:
    return {"value": float(values.mean()), "interval": intervals.of_mean(values)}
