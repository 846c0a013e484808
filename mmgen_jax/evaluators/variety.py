"""Variety within a condition: how far the samples that one condition gets lie apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from mmgen_jax.errors import InputError
from mmgen_jax.evaluators.measures import intervals
from mmgen_jax.modalities.modality import MASK_SUFFIX


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Spread of several samples of each condition; a model that ignores its noise has none.

    After the diversity of several outputs for one input in image translation (Zhu et al., 2017, Toward multimodal
    image-to-image translation), which is a mean distance of pairs in a network's features. Departs from it: standard
    deviation of pixels, which needs no network, and says nothing of what differs.

    Args:
      target: an image or video modality.
      num_conditions: the first of each split.
      num_samples: of each condition, at least 2.
      splits: those to run on.
    """

    target: str
    num_conditions: int = 64
    num_samples: int = 8
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

    def __call__(
        self, sample_fn: Callable[[Mapping[str, Any]], Mapping[str, Any]], batches: Iterable[Mapping[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        """`{"spread": {"value", "n" (conditions), "samples", "interval", "reference"}}`.

        `reference` is the spread of as many groups of real examples; those of a group differ in their conditions too,
        so that it is above what a perfect model has.

        Raises:
          InputError: the split has no two examples of the target to compare with.
        """
        spreads, real, left = [], [], self.num_conditions
        for batch in batches:
            has = np.flatnonzero(np.broadcast_to(batch.get(self.target + MASK_SUFFIX, True), len(batch[self.target])))
            real.append(np.asarray(batch[self.target])[has])
            rows = has[:left]
            if rows.size:
                repeated = {name: np.repeat(np.asarray(v)[rows], self.num_samples, axis=0) for name, v in batch.items()}
                drawn = np.asarray(sample_fn(repeated)[self.target])
                spreads.append(spread(drawn.reshape(len(rows), self.num_samples, -1)))
                left -= len(rows)
            if not left and sum(map(len, real)) >= self.num_conditions * self.num_samples:
                break
        real = np.concatenate(real) if real else np.zeros((0, 1))
        size = min(self.num_samples, len(real))
        if size < 2:
            raise InputError(f"variety: expected at least 2 examples with {self.target}, got {size}; use another split")
        groups = min(self.num_conditions, len(real) // size)
        spreads = np.concatenate(spreads)
        entry = {
            "value": float(spreads.mean()),
            "n": len(spreads),
            "samples": self.num_samples,
            "interval": intervals.of_mean(spreads),
            "reference": float(spread(real[: groups * size].reshape(groups, size, -1)).mean()),
            "preprocessing": "clipped to [-1, 1], then [0, 1]",
        }
        return {"spread": entry}


def spread(groups: np.ndarray) -> np.ndarray:
    """`[G]` of `groups [G, K, N]` in [-1, 1]: root of the mean over N of the variance over K, in units of [0, 1]."""
    groups = np.clip(groups, -1, 1, dtype=np.float64) / 2
    return np.sqrt(groups.var(axis=1, ddof=1).mean(axis=-1))
