"""Does a sampled picture show the content of its caption? Recall of the caption among the captions of the split.

The judge (`judges/retriever.py`) is trained on real pairs of the training split. It does not retrieve every real
picture's caption either: `reference` is the recall of the real pictures of the same captions.

A judge that has seen the model's training pictures could prefer copies of them to new pictures. So a model is to be
trained on one part of the split (`config.data.part`); the judge is then trained on the other part. Every entry has the
training data of the judge, and says whether the model shares them.

Only captions whose words all stand in the judge's training texts are measured, and only these are candidates: the judge
could not tell captions with unknown words apart.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mmgen_jax.config.ranges import Amount, Size
from mmgen_jax.contracts import Draw
from mmgen_jax.evaluators import needs, retrieval_recall
from mmgen_jax.evaluators.judges import files, retriever
from mmgen_jax.evaluators.measures.examples import collect
from mmgen_jax.modalities.modality import Modality


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """`recall@k` of each sample's own caption among the captions of all measured examples.

    Args:
      data: the source that the judge is trained on, as in `config.data`.
      target: the image modality that the model draws.
      text: the modality of the captions; the judge reads them as the data gives them.
      ranks: the values of k.
      num_examples: at most this many examples of each split; the captions of those that the judge knows are the
        candidates.
      splits: splits to evaluate.
      training: how the judge is trained.
    """

    data: Mapping[str, Any]
    target: str
    text: str = "text"
    ranks: tuple[Size, ...] = (1, 5, 10)
    num_examples: Amount = 1000
    splits: tuple[str, ...] = ("test",)
    training: retriever.Training = retriever.Training()

    @property
    def names(self) -> tuple[str, ...]:
        return (self.text,)

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        needs.modality(self, "target", needs.PICTURE, modalities)
        needs.modality(self, "text", needs.TEXT, modalities)
        files.check_splits(self.data)
        needs.conditions(conditions)

    def __call__(self, sampler: Draw, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`{"recall@k": {"value", "n", "interval", "chance", "reference", "unknown", "judge…"}}`, shares in [0, 1].

        Equal captions are ties, as in `retrieval_recall`. `unknown` counts the examples that are left out, because the
        judge does not know a word of their caption. A rank above the number of the other examples has the value None,
        and `why`.

        Raises:
          InputError: fewer examples than the largest rank.
        """
        judge = retriever.load(self.data, self.target, self.text, self.training)
        samples, true = collect(sampler, batches, self.target, (self.target, self.text), self.num_examples)
        texts, real = true[self.text], true[self.target]
        retrieval_recall.check_ranks(len(texts), self.ranks)
        known = judge.knows(texts)
        num = int(known.sum())
        about = {"unknown": len(known) - num, **judge.identity}
        ranks = tuple(k for k in self.ranks if k <= num)
        found, reference = (
            retrieval_recall.recalls(*judge.embed(images[known], texts[known]), ranks) if ranks else {}
            for images in (samples, real)
        )
        entries = {}
        for k in self.ranks:
            why = f"recall@{k}: needs {k} captions whose words the judge knows, got {num} of {len(known)}"
            entry: dict[str, Any] = {"value": None, "why": why, "n": num}
            if k in ranks:
                entry = retrieval_recall.entry(found[k], k) | {"reference": float(reference[k].mean())}
            entries[f"recall@{k}"] = entry | about
        return entries
