"""Captions of the scenes world: do they state the factors of the scene, and are they sentences of the grammar?

Each generated caption is parsed (`scenes.text.parse`: a closed vocabulary, where synonyms stand for one value). A
factor is right where the caption states the scene's value and no other value of the factor. A caption may leave the
motion out (10 of the 18 patterns do), and a picture does not show the motion. With `motion=True`, the motion is judged
in the captions that state a motion.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from mmgen_jax.config.ranges import Amount, Seed
from mmgen_jax.contracts import Draw
from mmgen_jax.evaluators import needs
from mmgen_jax.evaluators.measures import intervals, nearest
from mmgen_jax.evaluators.measures.examples import collect, trained_on
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.scenes import judge, text
from mmgen_jax.scenes.factors import FACTORS

STATED = ("shape", "color", "size")  # every caption states these factors


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Share of captions with each factor right, with all factors right, and that are grammatical.

    Args:
      data: the source, as in `config.data`.
      target: the caption that the model draws.
      motion: whether the conditions show the motion (a clip or a sound does, a picture does not).
      by: the modality by which the baseline finds the nearest training example, whose caption it gives.
      num_examples: at most this many examples of each split.
      num_train: the baseline searches at most this many training examples.
      splits: splits to evaluate.
    """

    of_set: ClassVar[str] = "scenes"
    data: Mapping[str, Any]
    target: str
    motion: bool = False
    by: str = "image"
    num_examples: Amount = 1000
    num_train: Amount = 10_000
    splits: tuple[str, ...] = ("test", "compositional")
    seed: Seed = 0

    @property
    def names(self) -> tuple[str, ...]:
        return (self.by, *STATED, "motion")

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        needs.modality(self, "target", needs.TEXT, modalities)
        needs.modality(self, "by", needs.VALUES, modalities)
        needs.conditions(conditions)

    def __call__(self, sampler: Draw, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`{"shape", "color", "size", "all", "grammatical", …: {"value", "n", "interval", "baseline", "reference"}}`.

        Values are shares in [0, 1]. `all`: shape, colour and size are right; with `motion=True`, the caption also
        states no wrong motion. With `motion=True` there is an entry `motion`, over the `n` captions that state a
        motion; it is absent where no caption does. `baseline` is the share for the captions of the nearest
        training examples, `reference` the share for the examples' own captions. `judge_trained_on` is None: the judge
        is the grammar. Intervals are Wilson's, of 95 %.
        """
        names = (self.target, *self.names)
        samples, true = collect(sampler, batches, self.target, names, self.num_examples)
        source = trained_on(self.data, (self.by, self.target), self.seed)
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
                "judge_trained_on": None,
                **{kind: float(shares.mean()) for kind, shares in beside.items() if len(shares)},
                **({"chance": chances[name]} if name in chances else {}),
            }
        return entries

    def _judge(self, ids: np.ndarray, true: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """`{entry: [M] bool}` for captions `ids [N, L]`; M is N, for `motion` the number that state a motion."""
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
