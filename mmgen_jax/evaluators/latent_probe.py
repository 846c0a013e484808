"""Linear probe of the latents: how well a linear classifier finds a label in the latents of the model's encoder."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from mmgen_jax.config.ranges import Amount, Positive
from mmgen_jax.evaluators import needs
from mmgen_jax.evaluators.judges import files
from mmgen_jax.evaluators.measures import examples, intervals
from mmgen_jax.modalities.modality import Modality


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Accuracy of a multinomial logistic regression, fitted to latents of training examples, on those of the split.

    Args:
      data: the source whose training split the classifier is fitted to, as in `config.data`.
      target: a target of the model.
      label: the modality with the class.
      regularisation: C of scikit-learn's `LogisticRegression`, the inverse of the L2 penalty; latents are standardised.
      num_train: training examples.
      num_examples: at most this many examples of each split.
      splits: splits to evaluate.
    """

    data: Mapping[str, Any]
    target: str
    label: str = "digit"
    regularisation: Positive = 0.1
    num_train: Amount = 5000
    num_examples: Amount = 2000
    splits: tuple[str, ...] = ("test",)
    ability: ClassVar[str] = "to_latent"

    @property
    def names(self) -> tuple[str, ...]:
        return (self.label,)

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        needs.modality(self, "label", needs.LABEL, modalities)

    def __call__(self, sampler: Any, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`{"accuracy": {"value", "n", "interval", "baseline", "shuffled", "num_train"}}`, shares in [0, 1].

        `interval` is Wilson's. `baseline` predicts the most frequent class; `shuffled` is the accuracy of a classifier
        that is fitted to the same latents with shuffled labels.
        """
        held = examples.first(batches, (self.target, self.label), self.num_examples)
        names = (*self._targets(sampler), self.label)
        source = files.training(self.data, names)
        chosen = examples.order(len(source))[: self.num_train]
        rows = [source.read(part, np.zeros_like(part)) for part in np.array_split(chosen, -(-len(chosen) // 1000))]
        (x, y), (held_x, held_y) = (self._latents(sampler, part) for part in (rows, held))
        mean, deviation = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-6)
        x, held_x = (x - mean) / deviation, (held_x - mean) / deviation
        right = int(np.sum(self._predicted(x, y, held_x) == held_y))
        shuffled = self._predicted(x, np.random.default_rng(0).permutation(y), held_x)
        return {
            "accuracy": {
                "value": right / len(held_y),
                "n": len(held_y),
                "interval": intervals.wilson(right, len(held_y)),
                "baseline": float(np.bincount(held_y).max() / len(held_y)),
                "shuffled": float(np.mean(shuffled == held_y)),
                "num_train": len(y),
            }
        }

    def _targets(self, sampler: Any) -> tuple[str, ...]:
        """The modalities that the encoder reads: the targets, and the conditions of a conditional model."""
        system = getattr(sampler, "system", None)
        return tuple(dict.fromkeys((*system.targets, *system.conditions))) if system else (self.target,)

    def _latents(self, sampler: Any, batches: Iterable[Mapping[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
        found = [(np.asarray(sampler.to_latent(batch), np.float64), batch[self.label]) for batch in batches]
        latents, labels = (np.concatenate(parts) for parts in zip(*found))
        return latents, labels

    def _predicted(self, x: np.ndarray, y: np.ndarray, held: np.ndarray) -> np.ndarray:
        from sklearn.linear_model import LogisticRegression  # takes a second

        return LogisticRegression(C=self.regularisation, max_iter=1000).fit(x, y).predict(held)
