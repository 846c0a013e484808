"""Does a sample show or say the class that was asked for?

The judge is a classifier trained on the real examples: pictures, sounds or clips (whether a text names the class says
`exact` of the evaluator `captions`). On the test split of `digits` the judges name 99.4 % of the pictures (of 10,000),
98.8 % of the recordings (of 250) and, of clips, 98.6 % at 32 px and 99.1 % at 64 px (of 10,000). The judge of clips
reads what moves and not how. `judge_controls` measures what they say of noise and the like.
"""

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
      target: the modality that the model draws.
      label: the modality that holds the true class; the model need not see it (a caption may tell the class).
      from_target: judge the target as the model reconstructs it (`sample_fn.reconstruct`), not as it draws it: what a
        representation leaves of the class bounds what can be drawn through it.
      num_examples: at most this many of each split.
      splits: those to run on.
    """

    data: Mapping[str, Any]
    target: str
    label: str = "digit"
    from_target: bool = False
    num_examples: int = 1000
    splits: tuple[str, ...] = ("test",)
    training: Any = None  # of the judge; None is the default of the target's kind

    @property
    def names(self) -> tuple[str, ...]:
        return (self.label,)

    def __call__(
        self, sample_fn: Callable[[Mapping[str, Any]], Mapping[str, Any]], batches: Iterable[Mapping[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        """`{"accuracy": {"value", "n", "interval", "reference", "chance", "per_class", "judge…"}}`.

        `interval` is Wilson's 95 %; `reference` the judge's accuracy on the real targets of the same examples, which
        a perfect model would reach; `per_class` maps class names to shares (None where no example asked for it).
        """
        judge = classifier.load(self.data, self.target, self.label, self.training)
        predict = sample_fn.reconstruct if self.from_target else sample_fn
        samples, true = collect(predict, batches, self.target, (self.target, self.label), self.num_examples)
        asked = true[self.label]
        correct = judge.classify(samples) == asked
        reference = judge.classify(true[self.target]) == asked
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
