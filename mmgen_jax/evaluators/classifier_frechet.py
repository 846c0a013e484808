"""Distances between generated and real pictures, sounds or clips, in the features of a classifier of the real ones.

These are NOT Inception distances. The features (128, non-negative) are those of the judge whose hash stands in every
entry. Two numbers are comparable only where both entries have the same hash and the same `n`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mmgen_jax.config.ranges import Amount
from mmgen_jax.contracts import Draw
from mmgen_jax.errors import InputError
from mmgen_jax.evaluators import feature_controls
from mmgen_jax.evaluators.judges import classifier
from mmgen_jax.evaluators.measures import distances, frechet, intervals
from mmgen_jax.evaluators.measures.examples import collect, halves
from mmgen_jax.modalities.modality import Modality

NEIGHBOURS = 3  # k of precision and recall
BALLS = 5  # k of density and coverage, as in Naeem et al. 2020
FEWEST = 2 * (max(NEIGHBOURS, BALLS) + 1)  # examples, so that each half has the neighbours


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Fréchet and kernel distance, precision, recall, density and coverage of samples and the real examples of a split.

    Args:
      data: the source that the judge is trained on, as in `config.data`.
      target: the modality that the model draws: images, sounds or clips.
      label: the modality of `data` whose classes the judge learns.
      num_examples: at most this many examples of each split, with one sample for each.
      splits: splits to evaluate.
      training: how the judge is trained, the `Training` of the target's kind; None: its default.
    """

    data: Mapping[str, Any]
    target: str
    label: str = "digit"
    num_examples: Amount = 5000
    splits: tuple[str, ...] = ("test",)
    training: Any = None

    @property
    def names(self) -> tuple[str, ...]:
        return ()

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        classifier.check(self.data, self.target, self.label)

    def __call__(self, sampler: Draw, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`frechet_distance`, `kernel_distance` (with its `standard_deviation` over subsets), `precision`, `recall`,
        `density` (0 or more, 1 of a perfect model) and `coverage`.

        Every entry has `n` (the number of real and of generated examples), `interval`, the judge, and `reference`: the
        same metric between two random halves of the real examples, `reference_n` = n / 2 examples each; `better`,
        `lower` or `higher`; and `controls`, the metric of training examples and of training examples that are spoilt
        (`feature_controls`). The intervals of the two distances are by subsets of the examples
        (`intervals.of_corpus`), as many as `resamples` says, each of `resample_size` examples.

        Raises:
          InputError: fewer than `FEWEST` examples, or features that are not finite.
        """
        judge = classifier.load(self.data, self.target, self.label, self.training)
        samples, true = collect(sampler, batches, self.target, (self.target,), self.num_examples)
        generated, real = (judge.predict(arrays)[1] for arrays in (samples, true[self.target]))
        if len(real) < FEWEST:
            raise InputError(
                f"classifier_frechet: expected at least {FEWEST} examples, got {len(real)}; raise "
                "num_examples or measure a larger split"
            )
        entries, reference = _compare(real, generated), _compare(*halves(real))
        entries["frechet_distance"] |= frechet.interval(real, generated, entries["frechet_distance"]["value"])
        controls = feature_controls.measure(judge, self.data, self.target, real, _compare)
        about = {
            "n": len(real),
            "reference_n": len(real) // 2,
            "features": "classifier, 128, after relu",
            **judge.identity,
        }
        return {
            name: entry | {"reference": reference[name]["value"], "controls": controls[name]} | about
            for name, entry in entries.items()
        }


def _compare(real: np.ndarray, generated: np.ndarray) -> dict[str, dict[str, Any]]:
    precision, recall = distances.precision_recall(real, generated, NEIGHBOURS)
    density, coverage = distances.density_coverage(real, generated, BALLS)
    return {
        **frechet.compare(real, generated),
        "precision": _share(precision, NEIGHBOURS),
        "recall": _share(recall, NEIGHBOURS),
        "density": {
            "value": float(density.mean()),
            "interval": intervals.of_mean(density),
            "better": "higher",
            "neighbours": BALLS,
        },
        "coverage": _share(coverage, BALLS),
    }


def _share(inside: np.ndarray, neighbours: int) -> dict[str, Any]:
    return {
        "value": float(inside.mean()),
        "interval": intervals.wilson(int(inside.sum()), len(inside)),
        "better": "higher",
        "neighbours": neighbours,
    }
