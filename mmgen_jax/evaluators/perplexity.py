"""Perplexity of a text model: how many equally likely units it has to choose from, on average.

The exponential of the mean negative log-likelihood of a unit (a word or a character, and the end of each text), over
all units of the split. Only perplexities of the same units are comparable: the same tokenizer, vocabulary and split.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from mmgen_jax.config.ranges import Amount, Seed
from mmgen_jax.contracts import Draw
from mmgen_jax.evaluators import needs
from mmgen_jax.evaluators.measures.examples import collect, order, trained_on
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.tokenizer import PADDING

READ = 500  # training texts read at a time
RESAMPLES = 1000


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """Perplexity of the true texts, beside that of a unigram model.

    Args:
      data: the source, as in `config.data`.
      target: the text that the model draws.
      num_examples: at most this many examples of each split.
      num_train: the unigram model counts the units of at most this many training texts.
      splits: splits to evaluate.
      seed: of the bootstrap.
    """

    data: Mapping[str, Any]
    target: str
    num_examples: Amount = 1000
    num_train: Amount = 10_000
    splits: tuple[str, ...] = ("test",)
    seed: Seed = 0
    names: tuple[str, ...] = ()

    ability: ClassVar[str] = "elbo"

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        needs.modality(self, "target", needs.TEXT, modalities)

    def __call__(self, sampler: Draw, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`{"perplexity": {"value", "n", "interval", "baseline", "units", "vocabulary"}}`.

        `baseline` is the perplexity of a unigram model of the training texts, with one added to every count. The
        interval of 95 % is a bootstrap over texts. `units` is the number of units of the texts.
        """
        nats, true = collect(
            lambda batch: {self.target: sampler.elbo(batch)}, batches, self.target, (self.target,), self.num_examples
        )
        ids = true[self.target]
        source = trained_on(self.data, (self.target,), self.seed)
        size = source.modalities[self.target].vocab_size
        counts = np.bincount(ids[ids != PADDING], minlength=size)
        log_p = unigram(source, self.target, self.num_train)
        units = (ids != PADDING).sum(axis=1)
        weights = np.random.default_rng(self.seed).multinomial(len(ids), np.full(len(ids), 1 / len(ids)), RESAMPLES)
        resampled = np.exp(-(weights @ nats.astype(np.float64)) / np.maximum(weights @ units, 1))
        entry = {
            "value": float(np.exp(-nats.astype(np.float64).sum() / units.sum())),
            "n": len(ids),
            "interval": np.percentile(resampled, [2.5, 97.5]).tolist() if len(ids) > 1 else None,
            "baseline": float(np.exp(-(counts[PADDING + 1 :] @ log_p[PADDING + 1 :]) / counts.sum())),
            "units": int(units.sum()),
            "vocabulary": size,
        }
        return {"perplexity": entry}


def unigram(source, target: str, num: int) -> np.ndarray:
    """Log-probabilities `[V]` of the ids of `num` texts of a source, chosen by `examples.order`.

    One is added to every count. PADDING is never drawn, and has -inf.
    """
    counts = np.ones(source.modalities[target].vocab_size)
    chosen = np.sort(order(len(source))[:num])
    for start in range(0, len(chosen), READ):
        indices = chosen[start : start + READ]
        counts += np.bincount(source.read(indices, np.zeros(len(indices), int))[target].ravel(), minlength=len(counts))
    counts[PADDING] = 0
    with np.errstate(divide="ignore"):
        return np.log(counts / counts.sum())
