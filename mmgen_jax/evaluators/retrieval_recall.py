"""Retrieval across modalities: is an example's own target among the k nearest to its conditions, and vice versa?

All measured examples are the candidates, so numbers are comparable only at the same `n`. Examples with equal targets
(a caption that several examples share) tie: no model can tell them apart. Ties are broken at random, and recall is its
expectation over the random orders.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from mmgen_jax.config.ranges import Amount, Size
from mmgen_jax.errors import InputError
from mmgen_jax.evaluators.measures import intervals
from mmgen_jax.evaluators.measures.distances import checked
from mmgen_jax.evaluators.measures.examples import collect
from mmgen_jax.modalities.modality import MASK_SUFFIX

TIE = 1e-5  # cosines that differ by less tie: their difference may be rounding


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """`to_target/recall@k` (queries are the conditions) and `from_target/recall@k` (queries are the targets).

    Args:
      target: the modality of the second tower.
      ranks: the values of k.
      num_examples: at most this many examples of each split.
      splits: splits to evaluate.
    """

    target: str
    ranks: tuple[Size, ...] = (1, 5, 10)
    num_examples: Amount = 1000
    splits: tuple[str, ...] = ("test",)
    ability: ClassVar[str] = "embed_pair"
    names: tuple[str, ...] = ()

    def __call__(self, sampler, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`{"to_target/recall@k", "from_target/recall@k": {"value", "n", "interval", "chance"}}`; chance is k / n.

        `sampler.embed_pair(batch) -> ([B, D], [B, D])` embeds the conditions and the target; similarity is the
        cosine. An example without any condition is left out, as in training.

        Raises:
          InputError: fewer examples than the largest k.
        """
        conditions, _ = collect(
            lambda batch: {self.target: np.stack(sampler.embed_pair(batch), axis=1)},
            _described(batches, self.target, sampler.system.conditions),
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


def _described(
    batches: Iterable[Mapping[str, Any]], target: str, conditions: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """The batches, in which the target of an example without any of the conditions is masked."""
    for batch in batches:
        whole = np.ones(len(batch[target]), bool)
        masks = [np.asarray(batch.get(name + MASK_SUFFIX, whole)) for name in conditions if name in batch]
        yield {**batch, target + MASK_SUFFIX: batch.get(target + MASK_SUFFIX, whole) & np.any([~whole, *masks], axis=0)}


def recalls(queries: np.ndarray, keys: np.ndarray, ranks: tuple[int, ...]) -> dict[int, np.ndarray]:
    """`{k: [N]}`: the probability that key i is among the k keys most similar to query i, ties in random order.

    Args:
      queries, keys: `[N, D]` embeddings; key i is the true one of query i.
      ranks: the values of k.

    Raises:
      InputError: fewer keys than the largest k, or an embedding that is not finite.
    """
    check_ranks(len(keys), ranks)
    for embeddings in (queries, keys):
        checked("retrieval", embeddings, 1)
    cosines = _unit(queries) @ _unit(keys).T
    own = np.diagonal(cosines)[:, None]
    before, tied = (cosines > own + TIE).sum(1), (np.abs(cosines - own) <= TIE).sum(1)  # tied counts the key itself
    return {k: np.clip((k - before) / tied, 0.0, 1.0) for k in ranks}


def check_ranks(num: int, ranks: tuple[int, ...]) -> None:
    """Raises InputError where there are fewer examples than the largest rank."""
    if num < max(ranks):
        raise InputError(
            f"retrieval: expected at least as many examples as the largest rank {max(ranks)}, got {num}; lower ranks "
            "or measure a larger split"
        )


def entry(found: np.ndarray, k: int) -> dict[str, Any]:
    """The entry of one k from `found [N]`, with Wilson's 95 % interval and the recall of a random order (`chance`)."""
    return {
        "value": float(found.mean()),
        "n": len(found),
        "interval": intervals.wilson(float(found.sum()), len(found)),
        "chance": k / len(found),
    }


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
