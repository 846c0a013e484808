"""Retrieval of examples of the same class: recall@k of nearest neighbours, by cosine similarity of the embeddings.

Every example of the split is a query against all others. The query is a hit where at least one of its k nearest
neighbours has its class (recall@k of metric learning, Oh Song et al., 2016).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from math import comb
from typing import Any, ClassVar

import numpy as np

from mmgen_jax.config.ranges import Amount, Size
from mmgen_jax.errors import InputError
from mmgen_jax.evaluators import needs
from mmgen_jax.evaluators.measures import intervals
from mmgen_jax.evaluators.measures.distances import checked
from mmgen_jax.evaluators.measures.examples import collect
from mmgen_jax.modalities.modality import Modality


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """`recall@k` in [0, 1] for each k, beside the recall of k neighbours drawn at random (`chance`).

    Args:
      label: the modality whose classes must agree.
      ranks: the values of k.
      num_examples: at most this many examples of each split.
      splits: splits to evaluate.
    """

    label: str
    ranks: tuple[Size, ...] = (1, 5, 10)
    num_examples: Amount = 5_000
    splits: tuple[str, ...] = ("test",)
    ability: ClassVar[str] = "embed"

    @property
    def names(self) -> tuple[str, ...]:
        return (self.label,)

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        needs.modality(self, "label", needs.LABEL, modalities)

    def __call__(self, sampler, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`{"recall@k": {"value", "n", "interval", "chance"}}`; embeddings are `sampler.embed(batch) -> [B, D]`.

        Raises:
          InputError: the split has at most as many examples as the largest k.
        """
        embeddings, true = collect(
            lambda batch: {"embedding": sampler.embed(batch)}, batches, "embedding", (self.label,), self.num_examples
        )
        labels = true[self.label]
        if len(labels) <= max(self.ranks):
            raise InputError(
                f"class_retrieval: expected more examples than the largest rank {max(self.ranks)}, got {len(labels)}; "
                "lower ranks or measure a larger split"
            )
        found = same_class(embeddings, labels, max(self.ranks))  # [N, K]
        entries = {}
        for k in self.ranks:
            hits = int(found[:, :k].any(axis=1).sum())
            entries[f"recall@{k}"] = {
                "value": hits / len(labels),
                "n": len(labels),
                "interval": intervals.wilson(hits, len(labels)),
                "chance": random_recall(labels, k),
            }
        return entries


def same_class(embeddings: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """`[N, k] bool`: whether each of an example's k nearest neighbours, nearest first, has the example's class.

    Args:
      embeddings: `[N, D]`, compared by cosine similarity; the example itself is no neighbour.
      labels: `[N] int`.
      k: less than N.

    Raises:
      InputError: an embedding that is not finite.
    """
    checked("class_retrieval", embeddings, 1)
    unit = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    return labels[nearest] == labels[:, None]


def random_recall(labels: np.ndarray, k: int) -> float:
    """Expected recall@k, in [0, 1], where the k neighbours are drawn at random, without replacement."""
    n = len(labels)
    others = np.bincount(labels)[labels] - 1
    return float(np.mean([1 - comb(n - 1 - int(same), k) / comb(n - 1, k) for same in others]))
