"""Retrieval of examples of the same class: recall@k of the nearest neighbours by cosine of the model's embedding.

Every example of the split is a query against all the others; it counts as found where one of its k nearest has its
class (recall@k as in metric learning, Oh Song et al., 2016).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from math import comb
from typing import Any

import numpy as np

from mmgen_jax.errors import InputError
from mmgen_jax.evaluators.measures import intervals
from mmgen_jax.evaluators.measures.examples import collect


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """`recall@k` for each k, beside the recall of k neighbours drawn at random.

    Args:
      label: the modality whose classes must agree.
      ranks: the k.
      num_examples: at most this many of each split.
      splits: those to run on.
    """

    label: str
    ranks: tuple[int, ...] = (1, 5, 10)
    num_examples: int = 5_000
    splits: tuple[str, ...] = ("test",)

    @property
    def names(self) -> tuple[str, ...]:
        return (self.label,)

    def __call__(self, sample_fn, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`sample_fn.embed(batch) -> [B, D]` is what examples are compared by.

        Raises:
          InputError: the split has no more examples than the largest k.
        """
        embeddings, true = collect(
            lambda batch: {"embedding": sample_fn.embed(batch)}, batches, "embedding", (self.label,), self.num_examples
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
    """`[N, k] bool`: whether each of the k nearest others, nearest first, has the example's class."""
    unit = embeddings / np.maximum(np.linalg.norm(embeddings, axis=1, keepdims=True), 1e-12)
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    return labels[nearest] == labels[:, None]


def random_recall(labels: np.ndarray, k: int) -> float:
    """Expected recall@k of k others drawn without replacement."""
    n = len(labels)
    others = np.bincount(labels)[labels] - 1
    return float(np.mean([1 - comb(n - 1 - int(same), k) / comb(n - 1, k) for same in others]))
