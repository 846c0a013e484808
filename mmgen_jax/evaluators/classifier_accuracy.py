"""Does a picture show the class that was asked for? The judge is a classifier trained on the real pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mmgen_jax.evaluators.judges import classifier
from mmgen_jax.evaluators.measures import intervals
from mmgen_jax.evaluators.measures.examples import collect


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Share of samples that the judge says are of the class that their conditions tell of.

    Args:
      data: the source that the judge is trained on, as in `config.data`.
      target: the image modality that the model draws.
      label: the modality that holds the true class; the model need not see it (a caption may tell the class).
      num_examples: at most this many of each split.
      splits: those to run on.
    """

    data: Mapping[str, Any]
    target: str = "image"
    label: str = "digit"
    num_examples: int = 1000
    splits: tuple[str, ...] = ("test",)
    training: classifier.Training = classifier.Training()

    @property
    def names(self) -> tuple[str, ...]:
        return (self.label,)

    def __call__(
        self, sample_fn: Callable[[Mapping[str, Any]], Mapping[str, Any]], batches: Iterable[Mapping[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        """`{"accuracy": {"value", "n", "interval", "reference", "chance", "per_class", "judge…"}}`.

        `interval` is Wilson's 95 %; `reference` the judge's accuracy on the real pictures of the same examples, which
        a perfect model would reach; `per_class` maps class names to shares (None where no example asked for it).
        """
        judge = classifier.load(self.data, self.target, self.label, self.training)
        samples, true = collect(sample_fn, batches, self.target, (self.target, self.label), self.num_examples)
        asked = true[self.label]
        correct = judge.predict(samples)[0].argmax(-1) == asked
        reference = judge.predict(true[self.target])[0].argmax(-1) == asked
        per_class = {
            name: float(correct[asked == i].mean()) if (asked == i).any() else None
            for i, name in enumerate(judge.classes)
        }
        accuracy = {
            "value": float(correct.mean()),
            "n": len(correct),
            "interval": intervals.wilson(int(correct.sum()), len(correct)),
            "reference": float(reference.mean()),
            "chance": 1 / len(judge.classes),
            "per_class": per_class,
        }
        return {"accuracy": accuracy | judge.identity}
