"""Captions of the scenes world: do they state the factors of the scene, and does the grammar have them?

Each generated caption is parsed (`data.scenes_text.parse`: closed vocabulary, synonyms are one value). A factor counts
as right where the caption states it with the scene's value and no other. Captions may leave the motion out, as 10 of 18
patterns do, and a picture does not show it: with `motion`, it is judged in the captions that state one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from mmgen_jax.evaluators.measures import intervals, nearest
from mmgen_jax.evaluators.measures.examples import collect
from mmgen_jax.scenes import judge, text
from mmgen_jax.scenes.factors import FACTORS

STATED = ("shape", "color", "size")  # by every caption


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Share of captions that state each factor rightly, that state all, and that are grammatical.

    Args:
      data: the source, as in `config.data`.
      target: the caption that the model draws.
      motion: whether the conditions show how the thing moves (a clip or a sound does, a picture does not).
      by: the modality whose nearest training example gives the baseline's caption.
      num_examples: at most this many of each split.
      num_train: training examples that the baseline has, the first.
      splits: those to run on.
    """

    data: Mapping[str, Any]
    target: str
    motion: bool = False
    by: str = "image"
    num_examples: int = 1000
    num_train: int = 10_000
    splits: tuple[str, ...] = ("test", "compositional")
    seed: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        return (self.by, *STATED, "motion")

    def __call__(
        self, sample_fn: Callable[[Mapping[str, Any]], Mapping[str, Any]], batches: Iterable[Mapping[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        """`{"shape", "color", "size", "all", "grammatical", …: {"value", "n", "interval", "baseline", "reference"}}`.

        `all`: shape, colour and size are right, and with `motion` no wrong motion is stated. With `motion` also
        `motion`, of the `n` captions that state one (no entry where none does). `baseline` is the caption of the
        nearest training example, `reference` the example's own caption; intervals are Wilson's, of 95 %.
        """
        names = (self.target, *self.names)
        samples, true = collect(sample_fn, batches, self.target, names, self.num_examples)
        source = nearest.training_source(self.data, (self.by, self.target), self.seed)
        others = nearest.captions(source, self.by, self.target, true[self.by], self.num_train)
        judged = {
            kind: self._judge(ids, true)
            for kind, ids in (("value", samples), ("baseline", others), ("reference", true[self.target]))
        }
        chances = {name: 1 / len(FACTORS[name]) for name in (*STATED, "motion")}
        entries = {}
        for name, right in judged["value"].items():
            if not len(right):
                continue
            beside = {kind: judged[kind][name] for kind in ("baseline", "reference")}
            entries[name] = {
                "value": float(right.mean()),
                "n": len(right),
                "interval": intervals.wilson(int(right.sum()), len(right)),
                **{kind: float(shares.mean()) for kind, shares in beside.items() if len(shares)},
                **({"chance": chances[name]} if name in chances else {}),
            }
        return entries

    def _judge(self, ids: np.ndarray, true: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """`{entry: [captions that count] bool}`."""
        stated = judge.judge_texts(ids)
        right = {name: stated[name] == true[name] for name in STATED}
        right["all"] = np.all(list(right.values()), axis=0)
        if self.motion:
            states = stated["motion"] >= 0
            right["motion"] = (stated["motion"] == true["motion"])[states]
            right["all"] &= ~states | (stated["motion"] == true["motion"])
        captions = [text.TOKENIZER.decode(row) for row in ids]
        right["grammatical"] = np.array([text.is_grammatical(caption) for caption in captions])
        return right
