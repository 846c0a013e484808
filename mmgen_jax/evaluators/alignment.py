"""Attention of speech synthesis, in numbers: is every character spoken, and in order?"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from mmgen_jax.config.ranges import Amount
from mmgen_jax.errors import InputError
from mmgen_jax.evaluators import needs
from mmgen_jax.evaluators.measures import intervals
from mmgen_jax.evaluators.measures.examples import first
from mmgen_jax.modalities.modality import Modality

COVERED = 0.5  # a token with at least this much attention, summed over the steps, is covered


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Coverage, diagonality and the share of sounds that end before the limit, of free-running samples.

    The last token of a text is its end and need not be covered.

    Args:
      target: the sound that the model draws.
      num_examples: at most this many examples of each split.
      splits: splits to evaluate.
    """

    target: str
    num_examples: Amount = 200
    splits: tuple[str, ...] = ("test",)
    names: tuple[str, ...] = ()

    ability: ClassVar[str] = "align"

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        needs.modality(self, "target", needs.SOUND, modalities)
        needs.conditions(conditions)

    def __call__(self, sampler: Any, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`coverage`, `covered`, `diagonality` and `stopped`, with `n` and a 95 % interval.

        `coverage`: the attention of the least attended token of a text, summed over the steps, at most 1; mean over the
        texts. `covered`: share of the texts whose every token has at least 0.5. `diagonality`: correlation of the step
        and the mean attended place, in [-1, 1]; 1 for a straight line. `stopped`: share of the sounds that the stop
        token ends before the limit. `baseline`: the same values of uniform attention in as many steps.
        """
        found = [sampler.align(batch) for batch in first(batches, (self.target,), self.num_examples)]
        weights, steps, mask = (np.concatenate([part[key] for part in found]) for key in ("weights", "steps", "mask"))
        rows = [(a[:s, m], s < len(a)) for a, s, m in zip(weights, steps.tolist(), mask) if m.any()]  # has a text
        if not rows:
            raise InputError("alignment: expected examples with a text, got none")
        least, straight = (np.array([measure(a) for a, _ in rows]) for measure in (coverage, diagonality))
        uniform = np.array([coverage(np.full(a.shape, 1 / a.shape[1])) for a, _ in rows])
        stopped = np.array([ended for _, ended in rows])
        shares = {"covered": (least >= COVERED, uniform >= COVERED), "stopped": (stopped, None)}
        entries: dict[str, dict[str, Any]] = {
            "coverage": {"value": least.mean(), "interval": intervals.of_mean(least), "baseline": uniform.mean()},
            "diagonality": {"value": straight.mean(), "interval": intervals.of_mean(straight), "baseline": 0.0},
        }
        for name, (own, control) in shares.items():
            entries[name] = {"value": own.mean(), "interval": intervals.wilson(int(own.sum()), len(own))}
            entries[name] |= {} if control is None else {"baseline": control.mean()}
        about = {"n": len(rows), "steps": float(steps.mean())}
        return {
            name: {key: float(value) if np.ndim(value) == 0 else value for key, value in entry.items()} | about
            for name, entry in entries.items()
        }


def coverage(weights: np.ndarray) -> float:
    """The summed attention of the least attended token but the last, at most 1, of `weights [S, N]`."""
    spoken = weights[:, : max(1, weights.shape[1] - 1)]
    return float(np.minimum(spoken.sum(axis=0), 1.0).min())


def diagonality(weights: np.ndarray) -> float:
    """The correlation of steps and their mean attended places, of `weights [S, N]`; 0 where the place is constant."""
    places = (weights * np.arange(weights.shape[1])).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-9)
    if len(places) < 2 or np.ptp(places) < 1e-6:
        return 0.0
    return float(np.corrcoef(np.arange(len(places)), places)[0, 1])
