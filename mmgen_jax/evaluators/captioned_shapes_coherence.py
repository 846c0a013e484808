"""Strict coherence on `captioned_shapes`: does a drawn picture or text show every factor of its level?

`cross`: the target drawn from the other modality of a test example; correct where the judge finds the true value of
every factor. `joint`: picture and text drawn together from the prior; correct where the text is a caption of the level
and the picture shows its factors. A text counts only where it is exactly one of the level's captions. The judges are
analytic.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from mmgen_jax.config.ranges import Amount
from mmgen_jax.contracts import Draw
from mmgen_jax.data import captioned_shapes
from mmgen_jax.errors import ConfigError
from mmgen_jax.evaluators import needs
from mmgen_jax.evaluators.measures import agreement, examples, intervals
from mmgen_jax.modalities.modality import Modality

OTHER = {"text": "image", "image": "text"}
JUDGES = {"text": captioned_shapes.judge_texts, "image": captioned_shapes.judge_images}


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Shares in [0, 1] of examples where all factors are right, and the mean over the factors.

    Args:
      data: as in `config.data`, of the source `captioned_shapes`.
      target: `text` or `image`, drawn from the other modality.
      joint: whether `joint` is measured: the model draws both.
      num_examples: at most this many examples of each split.
      splits: splits to evaluate.
    """

    of_set: ClassVar[str] = "captioned_shapes"
    data: Mapping[str, Any]
    target: str
    joint: bool = False
    num_examples: Amount = 1000
    splits: tuple[str, ...] = ("test",)

    def __post_init__(self):
        if self.target not in OTHER:
            raise ConfigError(
                f"captioned_shapes_coherence.target: no judge for {self.target!r}; there is one for: {', '.join(OTHER)}"
            )
        if self.data.get("name") != "captioned_shapes":
            raise ConfigError(
                f"captioned_shapes_coherence.data: expected captioned_shapes, got {self.data.get('name')!r}"
            )

    @property
    def level(self) -> int:
        return self.data.get("level", captioned_shapes.LEVELS)

    @property
    def names(self) -> tuple[str, ...]:
        return captioned_shapes.named(self.level)

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        needs.conditions(conditions)

    def __call__(self, sampler: Draw, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`{"cross", "cross_factors", "joint": {"value", "n", "interval", "judge_accuracy", "chance", …}}`.

        `judge_accuracy` is the share of real examples that the judge finds right. `chance` is one over the number of
        captions of the level; of `cross_factors`, the mean of the factors' own chances; of `joint`, the share that
        independent captions and pictures with the same shares of contents would have. Intervals are Wilson's, over
        examples. The interval of `cross_factors` counts an example's factors as one draw, so it is rather too wide.
        """
        drawn = examples.first(batches, (self.target, *self.names), self.num_examples)
        truth = np.concatenate([self._truth(batch) for batch in drawn])
        several = len(getattr(getattr(sampler, "system", None), "targets", ())) > 1
        given = {"given": (OTHER[self.target],)} if several else {}
        samples = np.concatenate([np.asarray(sampler(batch, **given)[self.target]) for batch in drawn])
        right = self._judged(self.target, samples) == truth
        real = self._judged(self.target, np.concatenate([batch[self.target] for batch in drawn])) == truth
        sizes = [len(captioned_shapes.FACTORS[name]) for name in self.names]
        entries = {
            "cross": _entry(right.all(axis=1), real.all(axis=1), 1 / float(np.prod(sizes))),
            "cross_factors": _entry(right.mean(axis=1), real.mean(axis=1), float(np.mean([1 / n for n in sizes]))),
        }
        if self.joint:
            both = [sampler(batch) for batch in drawn]
            told, shown = (self._judged(name, np.concatenate([b[name] for b in both])) for name in ("text", "image"))
            contents = np.unique(np.concatenate([told, shown]), axis=0, return_inverse=True)[1].reshape(2, -1).T
            entries["joint"] = _entry((told == shown).all(axis=1), real.all(axis=1), agreement.independent(contents))
            entries["joint"]["captions"] = float((told >= 0).all(axis=1).mean())
        return entries

    def _truth(self, batch: Mapping[str, Any]) -> np.ndarray:
        return np.stack([np.asarray(batch[name]) for name in self.names], axis=1)

    def _judged(self, name: str, arrays: np.ndarray) -> np.ndarray:
        """`[N, factors] int32`"""
        found = JUDGES[name](arrays, self.level)
        return np.stack([found[factor] for factor in self.names], axis=1)


def _entry(values: np.ndarray, real: np.ndarray, chance: float) -> dict[str, Any]:
    return {
        "value": float(values.mean()),
        "n": len(values),
        "interval": intervals.wilson(float(values.sum()), len(values)),
        "judge_accuracy": float(real.mean()),
        "judge_trained_on": None,
        "chance": chance,
    }
