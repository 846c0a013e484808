"""Retrieval across modalities: whether an example's own target is among the k likest to its conditions, and back.

All examples that are measured are the candidates, so numbers compare at one `n` alone. Examples whose target says the
same (captions that several examples share) are told apart by nobody: of candidates as like as the true one, each is as
likely to stand before the others, and recall is the expected one over their orders.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from mmgen_jax.errors import InputError
from mmgen_jax.evaluators.measures import intervals
from mmgen_jax.evaluators.measures.examples import collect

TIE = 1e-5  # of two cosines: they are as like but for rounding


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """`to_target/recall@k`, the conditions as queries, and `from_target/recall@k`, beside chance, k / n.

    Args:
      target: the modality of the second tower.
      ranks: the k.
      num_examples: at most this many of each split.
      splits: those to run on.
    """

    target: str
    ranks: tuple[int, ...] = (1, 5, 10)
    num_examples: int = 1000
    splits: tuple[str, ...] = ("test",)
    names: tuple[str, ...] = ()

    def __call__(self, sample_fn, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`sample_fn.embed_pair(batch) -> ([B, D], [B, D])`: of the conditions and of the target, compared by cosine.

        Raises:
          InputError: fewer examples than the largest k.
        """
        conditions, _ = collect(
            lambda batch: {self.target: np.stack(sample_fn.embed_pair(batch), axis=1)},
            batches,
            self.target,
            (self.target,),
            self.num_examples,
        )
        conditions, targets = conditions[:, 0], conditions[:, 1]
        entries = {}
        for direction, queries, keys in (("to_target", conditions, targets), ("from_target", targets, conditions)):
            found = recalls(queries, keys, self.ranks)
            entries |= {f"{direction}/recall@{k}": entry(found[k], k) for k in self.ranks}
        return entries


def recalls(queries: np.ndarray, keys: np.ndarray, ranks: tuple[int, ...]) -> dict[int, np.ndarray]:
    """`{k: [N]}`: the probability that key i is among the k likest of all keys to query i, ties in random order.

    Raises:
      InputError: fewer keys than the largest k.
    """
    if len(keys) < max(ranks):
        raise InputError(
            f"retrieval: expected at least as many examples as the largest rank {max(ranks)}, got {len(keys)}; lower "
            "ranks or measure a larger split"
        )
    cosines = _unit(queries) @ _unit(keys).T
    own = np.diagonal(cosines)[:, None]
    before, tied = (cosines > own + TIE).sum(1), (np.abs(cosines - own) <= TIE).sum(1)  # tied counts the key itself
    return {k: np.clip((k - before) / tied, 0.0, 1.0) for k in ranks}


def entry(found: np.ndarray, k: int) -> dict[str, Any]:
    """Of one k, with its 95 % interval and what an order drawn at random finds."""
    return {
        "value": float(found.mean()),
        "n": len(found),
        "interval": intervals.wilson(float(found.sum()), len(found)),
        "chance": k / len(found),
    }


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
