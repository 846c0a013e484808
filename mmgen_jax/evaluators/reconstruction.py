"""Distance of a picture or clip from the true one: PSNR, SSIM, squared and absolute error; a constant as baseline."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mmgen_jax.config.ranges import Amount, Count
from mmgen_jax.contracts import Draw
from mmgen_jax.evaluators import needs
from mmgen_jax.evaluators.measures import fidelity, intervals
from mmgen_jax.evaluators.measures.examples import collect
from mmgen_jax.modalities.modality import Modality


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Means over examples of the metrics of `fidelity.measure`, for samples and for the best constant picture.

    Args:
      target: an image or video modality.
      from_target: True: the model sees the target and reconstructs it (an autoencoder: `sampler.reconstruct`).
        False: the model draws the target from the other modalities (translation: `sampler`).
      num_examples: at most this many examples of each split.
      splits: splits to evaluate.
      colour: `rgb`, or `bt601_y`: the luma that papers on super-resolution measure (`fidelity.luma`).
      border: pixels left out at each of the four sides; papers on super-resolution leave out the factor.
    """

    target: str
    from_target: bool = False
    num_examples: Amount = 1000
    splits: tuple[str, ...] = ("test",)
    colour: fidelity.Colour = "rgb"
    border: Count = 0

    @property
    def ability(self) -> str:
        return "reconstruct" if self.from_target else "sample"

    @property
    def names(self) -> tuple[str, ...]:
        return ()

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        needs.modality(self, "target", needs.PICTURE_OR_CLIP, modalities)
        if not self.from_target:
            needs.conditions(conditions, "; for a model that reconstructs its target, set from_target=true")

    def check(self, batch: Mapping[str, Any], conditions: Sequence[str]) -> None:
        """Raises InputError for a `colour` or a `border` that does not suit the target."""
        fidelity.check(np.shape(batch[self.target]), self.colour, self.border)

    def __call__(self, sampler: Draw, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`{"psnr" (dB), "ssim", "mse", "l1": {"value", "n", "interval", "baseline", "colour", "border", "range", …}}`.

        `baseline` is the same metric of the mean picture of the same examples, the constant with the least squared
        error. Intervals are of 95 %, by the normal approximation.
        """
        predict = sampler.reconstruct if self.from_target else sampler
        samples, true = collect(predict, batches, self.target, (self.target,), self.num_examples)
        real = true[self.target]
        constant = np.broadcast_to(real.mean(0, dtype=np.float64).astype(np.float32), real.shape)
        measured, baseline = (fidelity.measure(x, real, self.colour, self.border) for x in (samples, constant))
        return {
            name: {
                "value": float(values.mean()),
                "n": len(values),
                "interval": intervals.of_mean(values),
                "baseline": float(baseline[name].mean()),
                **fidelity.about(self.colour, self.border, real.shape[-1]),
            }
            for name, values in measured.items()
        }
