"""How far generated pictures, sounds or clips are from real ones, in the features of a classifier of the real ones.

These are NOT Inception distances: the features (128, non-negative) are those of the judge whose hash stands in every
entry, and numbers compare only between entries of one hash and one `n`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from mmgen_jax.errors import InputError
from mmgen_jax.evaluators.judges import classifier
from mmgen_jax.evaluators.measures import distances, intervals
from mmgen_jax.evaluators.measures.examples import collect

NEIGHBOURS = 3  # k of precision and recall


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Fréchet and kernel distance, precision and recall, of the samples for the examples of a split and those examples.

    Args:
      data: the source that the judge is trained on, as in `config.data`.
      target: the modality that the model draws: images, sounds or clips.
      label: the modality of `data` whose classes the judge learns.
      num_examples: at most this many of each split, real and generated.
      splits: those to run on.
    """

    data: Mapping[str, Any]
    target: str
    label: str = "digit"
    num_examples: int = 5000
    splits: tuple[str, ...] = ("test",)
    training: Any = None  # of the judge; None is the default of the target's kind

    @property
    def names(self) -> tuple[str, ...]:
        return ()

    def __call__(
        self, sample_fn: Callable[[Mapping[str, Any]], Mapping[str, Any]], batches: Iterable[Mapping[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        """`frechet_distance`, `kernel_distance` (with its `standard_deviation` over subsets), `precision`, `recall`.

        Each with `n` (real as well as generated), the judge, and `reference`: the same number between two halves of
        the real examples, thus of n / 2 each.
        """
        judge = classifier.load(self.data, self.target, self.label, self.training)
        samples, true = collect(sample_fn, batches, self.target, (self.target,), self.num_examples)
        generated, real = (judge.predict(arrays)[1] for arrays in (samples, true[self.target]))
        if len(real) <= 2 * (NEIGHBOURS + 1):
            raise InputError(f"classifier_frechet: expected more than {2 * (NEIGHBOURS + 1)} examples, got {len(real)}")
        entries, reference = _compare(real, generated), _compare(real[0::2], real[1::2])
        about = {
            "n": len(real),
            "reference_n": len(real) // 2,
            "features": "classifier, 128, after relu",
            **judge.identity,
        }
        return {name: entry | {"reference": reference[name]["value"]} | about for name, entry in entries.items()}


def _compare(real: np.ndarray, generated: np.ndarray) -> dict[str, dict[str, Any]]:
    kernel, deviation = distances.kernel_distance(real, generated)
    precision, recall = distances.precision_recall(real, generated, NEIGHBOURS)
    return {
        "frechet_distance": {"value": distances.frechet_distance(real, generated)},
        "kernel_distance": {"value": kernel, "standard_deviation": deviation, "subset_size": min(1000, len(real))},
        "precision": _share(precision),
        "recall": _share(recall),
    }


def _share(inside: np.ndarray) -> dict[str, Any]:
    return {
        "value": float(inside.mean()),
        "interval": intervals.wilson(int(inside.sum()), len(inside)),
        "neighbours": NEIGHBOURS,
    }
