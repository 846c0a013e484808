"""Does a sample show or say the class that was asked for?

The judge is a classifier trained on the real examples: pictures, sounds or clips. For texts, use `exact` of the
evaluator `captions`. On the test split of `digits` the judges recognise 99.4 % of the pictures (of 10,000), 98.8 % of
the recordings (of 250) and, of the clips, 98.6 % at 32 px and 99.1 % at 64 px (of 10,000). The judge of clips ignores
the order of the frames: it recognises the digit, not how the digit moves. `judge_controls` measures the judges on noise
and on spoilt examples.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mmgen_jax.config.ranges import Amount
from mmgen_jax.contracts import Draw
from mmgen_jax.evaluators import needs
from mmgen_jax.evaluators.judges import classifier
from mmgen_jax.evaluators.measures import intervals
from mmgen_jax.evaluators.measures.examples import Shared, collect
from mmgen_jax.modalities.modality import Modality


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Share of samples in which the judge recognises the class of the example that the sample was drawn for.

    Args:
      data: the source that the judge is trained on, as in `config.data`.
      target: the modality that the model draws.
      label: the modality that holds the true class. The model need not see this modality: a caption may name the class.
      from_target: judge reconstructions of the target (`sampler.reconstruct`) instead of samples. Their accuracy
        shows how much of the class the representation keeps.
      num_examples: at most this many examples of each split.
      splits: splits to evaluate.
      training: how the judge is trained, the `Training` of the target's kind; None: its default.
      reads: the model's conditions that hold values, such as sounds; given by the run.
    """

    data: Mapping[str, Any]
    target: str
    label: str = "digit"
    from_target: bool = False
    num_examples: Amount = 1000
    splits: tuple[str, ...] = ("test",)
    training: Any = None
    reads: tuple[str, ...] = ()

    @property
    def ability(self) -> str:
        return "reconstruct" if self.from_target else "sample"

    @property
    def names(self) -> tuple[str, ...]:
        return (self.label,)

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        classifier.check(self.data, self.target, self.label)
        if not self.from_target:
            needs.conditions(conditions, "; for a model that reconstructs its target, set from_target=true")

    def __call__(self, sampler: Draw, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`{"accuracy": {"value", "n", "interval", "reference", "chance", "per_class", "judge…"}}`.

        `value` is in [0, 1], `interval` its 95 % interval (Wilson). `effective_n`, where examples have a condition in
        common, such as a recording: the number of independent examples with as wide an interval. `reference` is the
        judge's accuracy on the real targets of the same examples: the value of a perfect model. `per_class` maps
        each class name to its own accuracy, None for a class without examples.
        """
        judge = classifier.load(self.data, self.target, self.label, self.training)
        predict = sampler.reconstruct if self.from_target else sampler
        names = self.target, self.label
        shared = Shared((self.target,) if self.from_target else self.reads, names)
        samples, true = collect(predict, shared.watch(batches), self.target, names, self.num_examples)
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
            **intervals.of_share(correct, shared.groups(len(correct))),
            "reference": float(reference.mean()),
            "chance": 1 / len(judge.classes),
            "per_class": per_class,
        }
        return {"accuracy": accuracy | judge.identity}
