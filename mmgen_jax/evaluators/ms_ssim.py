"""Diversity of generated pictures: mean multi-scale structural similarity (MS-SSIM) of pairs; lower is more diverse."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mmgen_jax.config.ranges import Amount
from mmgen_jax.contracts import Draw
from mmgen_jax.errors import InputError
from mmgen_jax.evaluators import needs, picture_controls
from mmgen_jax.evaluators.measures import intervals, structure
from mmgen_jax.evaluators.measures.examples import collect, halves
from mmgen_jax.modalities.modality import Modality

WEIGHTS = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])  # of the scales, finest first (Wang et al. 2003)
SMALLEST = 16  # px of a side, which leaves 1 px at the coarsest scale
BATCH = 100  # pairs computed at once


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Mean MS-SSIM of pairs of samples (Odena et al. 2017), beside the mean MS-SSIM of pairs of real pictures.

    The pairs are random. No sample is in two pairs, so the pairs are independent.

    Departs from the paper: a pair may hold two different classes; as many pairs as there are samples for (the paper:
    100 pairs per class).

    Args:
      target: the image modality that the model draws.
      data: the source of the controls' training pictures, as in `config.data`; None: no controls.
      num_examples: at most this many examples of each split, two for each pair.
      splits: splits to evaluate.
    """

    target: str
    data: Mapping[str, Any] | None = None
    num_examples: Amount = 2000
    splits: tuple[str, ...] = ("test",)
    names: tuple[str, ...] = ()

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        needs.sides(self, SMALLEST, modalities)

    def __call__(self, sampler: Draw, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`{"ms_ssim": {"value", "n", "interval", "reference", "better", "controls"}}`.

        `n` counts pairs. `reference` is the value of real pictures of the split; `better` is `reference`: the nearer to
        the reference, the better. `controls` are the values of training pictures and of training pictures that are
        spoilt (`picture_controls`).

        Raises:
          InputError: fewer than two examples.
        """
        samples, true = collect(sampler, batches, self.target, (self.target,), self.num_examples)
        if len(samples) < 2:
            raise InputError("ms_ssim: expected at least 2 examples, got 1; raise num_examples")
        values, reference = (ms_ssim(*halves(x)) for x in (samples, true[self.target]))
        entry: dict[str, Any] = {
            "value": float(values.mean()),
            "n": len(values),
            "interval": intervals.of_mean(values),
            "reference": float(reference.mean()),
            "better": "reference",
            "preprocessing": "rounded to 8 bits; 5 scales, window 11 px or the side, sigma 1.5 px for 11",
        }
        if self.data is not None:
            metric, pictures = {"name": "ms_ssim"}, true[self.target]
            entry |= {"controls": picture_controls.measure(metric, self.data, self.target, pictures, _mean)["ms_ssim"]}
        return {"ms_ssim": entry}


def _mean(pictures: np.ndarray) -> dict[str, float]:
    return {"ms_ssim": float(ms_ssim(*halves(pictures)).mean())}


def ms_ssim(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`[N]` in [0, 1]: multi-scale SSIM (Wang et al. 2003) of `a[i]` and `b[i]`, `[N, H, W, C]` in [-1, 1].

        ssim_5^w5 Π_{scales 1..4} cs_i^wi

    cs is the contrast-structure term, ssim the whole SSIM with the luminance term; each is a mean over places and
    channels, and a negative mean counts as 0. Each scale is the previous scale, averaged over blocks of 2 x 2 px (the
    last row or column of an odd side counts twice). The Gaussian window has 11 x 11 px and takes every place where it
    fits wholly. At a scale smaller than 11 px, the window is as large as the shorter side and its sigma shrinks in
    proportion, so that five scales fit into 64 px (as in the code of Karras et al. 2018).

    Raises:
      InputError: the shapes differ, or a side is below `SMALLEST`.
    """
    if a.shape != b.shape or a.ndim != 4 or min(a.shape[1:3]) < SMALLEST:
        raise InputError(
            f"ms_ssim: expected two [N, H, W, C] of one shape with sides from {SMALLEST}, got {a.shape}, {b.shape}"
        )
    return np.concatenate([_batch(a[i : i + BATCH], b[i : i + BATCH]) for i in range(0, len(a), BATCH)])


def _batch(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    # [N, C, H, W]: with channels last, the matrix products below would read strided memory.
    a, b = (np.rint((np.clip(x, -1, 1).astype(np.float64) + 1) * 127.5).transpose(0, 3, 1, 2) for x in (a, b))
    result = np.ones(len(a))
    for scale, weight in enumerate(WEIGHTS):
        ssim, contrast = structure.terms(a, b, data_range=255)
        result *= np.maximum(ssim if scale == len(WEIGHTS) - 1 else contrast, 0) ** weight
        a, b = _halve(a), _halve(b)
    return result


def _halve(x: np.ndarray) -> np.ndarray:
    """Means over blocks of 2 x 2 px of `[N, C, H, W]`."""
    height, width = x.shape[2:]
    x = np.pad(x, ((0, 0), (0, 0), (0, height % 2), (0, width % 2)), mode="edge")
    return (x[:, :, 0::2, 0::2] + x[:, :, 1::2, 0::2] + x[:, :, 0::2, 1::2] + x[:, :, 1::2, 1::2]) / 4
