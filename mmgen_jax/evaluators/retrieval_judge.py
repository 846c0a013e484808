"""Does a picture show what its caption says? How often it retrieves that caption among all of the split.

The judge (`retriever`) is trained on the real pairs of the training split. Where it is unsure of the real pictures too,
the numbers are low for a perfect model: `reference` is what the real pictures of the same captions reach.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mmgen_jax.evaluators import retrieval_recall
from mmgen_jax.evaluators.judges import retriever
from mmgen_jax.evaluators.measures.examples import collect


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """`recall@k` of each sample's own caption among the captions of all examples measured.

    Args:
      data: the source that the judge is trained on, as in `config.data`.
      target: the image modality that the model draws.
      text: the captions; the judge reads them as the data gives them.
      ranks: the k.
      num_examples: at most this many of each split, which are the candidates.
      splits: those to run on.
    """

    data: Mapping[str, Any]
    target: str
    text: str = "text"
    ranks: tuple[int, ...] = (1, 5, 10)
    num_examples: int = 1000
    splits: tuple[str, ...] = ("test",)
    training: retriever.Training = retriever.Training()

    @property
    def names(self) -> tuple[str, ...]:
        return (self.text,)

    def __call__(
        self, sample_fn: Callable[[Mapping[str, Any]], Mapping[str, Any]], batches: Iterable[Mapping[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        """`{"recall@k": {"value", "n", "interval", "chance", "reference", "judge…"}}`; equal captions as in
        `retrieval_recall`."""
        judge = retriever.load(self.data, self.target, self.text, self.training)
        samples, true = collect(sample_fn, batches, self.target, (self.target, self.text), self.num_examples)
        found, reference = (
            retrieval_recall.recalls(*judge.embed(images, true[self.text]), self.ranks)
            for images in (samples, true[self.target])
        )
        return {
            f"recall@{k}": retrieval_recall.entry(found[k], k)
            | {"reference": float(reference[k].mean())}
            | judge.identity
            for k in self.ranks
        }
