"""Variety within a condition: standard deviation between several samples of the same condition."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mmgen_jax.config.ranges import Size
from mmgen_jax.contracts import Draw
from mmgen_jax.errors import InputError
from mmgen_jax.evaluators import needs
from mmgen_jax.evaluators.measures import examples, intervals
from mmgen_jax.modalities.modality import MASK_SUFFIX, Modality


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Spread of several samples of each condition. A model that ignores its noise has a spread of 0.

    After the diversity of image-to-image translation (Zhu et al., 2017, Toward multimodal image-to-image translation):
    the mean distance, in the features of a network, between pairs of outputs for one input. Departs from the paper: the
    standard deviation of pixels, which needs no network but does not tell how the samples differ.

    Args:
      target: an image or video modality.
      num_conditions: the conditions are those of at most this many examples of each split.
      num_samples: samples of each condition, at least 2.
      splits: splits to evaluate.

    Raises:
      InputError: `num_samples` below 2 or `num_conditions` below 1.
    """

    target: str
    num_conditions: Size = 64
    num_samples: Size = 8
    splits: tuple[str, ...] = ("test",)

    def __post_init__(self):
        if self.num_samples < 2 or self.num_conditions < 1:
            raise InputError(
                "variety: expected num_samples from 2 and num_conditions from 1, got "
                f"{self.num_samples} and {self.num_conditions}"
            )

    @property
    def names(self) -> tuple[str, ...]:
        return ()

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        needs.modality(self, "target", needs.PICTURE_OR_CLIP, modalities)

    def __call__(self, sampler: Draw, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`{"spread": {"value", "n", "samples", "interval", "reference"}}`; `n` counts conditions.

        `reference` is the spread of random groups of real examples, with as many groups and examples as the split
        allows, up to `num_conditions` and `num_samples`. Real examples of a group differ in their conditions too, so
        `reference` is above the spread of a perfect model.

        Raises:
          InputError: the split has fewer than two examples of the target for `reference`.
        """
        spreads, real, left = [], [], self.num_conditions
        for batch in batches:
            has = np.flatnonzero(np.broadcast_to(batch.get(self.target + MASK_SUFFIX, True), len(batch[self.target])))
            real.append(np.asarray(batch[self.target])[has])
            rows = has[:left]
            if rows.size:
                repeated = {name: np.repeat(np.asarray(v)[rows], self.num_samples, axis=0) for name, v in batch.items()}
                drawn = np.asarray(sampler(repeated)[self.target])
                spreads.append(spread(drawn.reshape(len(rows), self.num_samples, -1)))
                left -= len(rows)
            if not left and sum(map(len, real)) >= self.num_conditions * self.num_samples:
                break
        real = np.concatenate(real) if real else np.zeros((0, 1))
        size = min(self.num_samples, len(real))
        if size < 2:
            raise InputError(f"variety: expected at least 2 examples with {self.target}, got {size}; use another split")
        groups = min(self.num_conditions, len(real) // size)
        real = real[examples.order(len(real))[: groups * size]]
        spreads = np.concatenate(spreads)
        entry = {
            "value": float(spreads.mean()),
            "n": len(spreads),
            "samples": self.num_samples,
            "interval": intervals.of_mean(spreads),
            "reference": float(spread(real.reshape(groups, size, -1)).mean()),
            "preprocessing": "clipped to [-1, 1], then [0, 1]",
        }
        return {"spread": entry}


def spread(groups: np.ndarray) -> np.ndarray:
    """`[G]`: spread of `groups [G, K, N]`, K examples of N values in [-1, 1] each, for values mapped to [0, 1].

    The square root of the mean over the N values of the variance over the K examples.
    """
    groups = np.clip(groups, -1, 1, dtype=np.float64) / 2
    return np.sqrt(groups.var(axis=1, ddof=1).mean(axis=-1))
