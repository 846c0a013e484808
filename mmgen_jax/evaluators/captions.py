"""Generated captions against the true ones: BLEU, CIDEr-D, and variety.

Captions are split into words as the data splits them (`modalities.tokenizer.split`: lower case, single punctuation
marks); there is no stemming and no other preprocessing. A word that the vocabulary lacks (UNKNOWN) never matches, in a
reference or in a candidate.

References of an example: a source with a method `true_captions` lists every true caption of an example, and a source
whose examples have several captions gives all captions by `references`. BLEU takes all true captions, so that each true
caption scores 100. CIDEr-D takes `num_references` true captions: the example's own, and others drawn by (seed, place).
CIDEr-D was made for data sets with five captions a picture; it averages over the references, so that no caption reaches
10 against several different references. For other sources, the example's own caption is the only reference of both
metrics.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mmgen_jax import lookup
from mmgen_jax.config.ranges import Amount, Seed, Size
from mmgen_jax.contracts import Draw
from mmgen_jax.errors import InputError
from mmgen_jax.evaluators import needs
from mmgen_jax.evaluators.measures import intervals, nearest
from mmgen_jax.evaluators.measures.captions import (
    MAX_ORDER,
    References,
    bleu,
    bleu_statistics,
    bootstrap_bleu,
    cider_d,
    distinct,
    merge,
    self_bleu,
)
from mmgen_jax.evaluators.measures.examples import collect, same, trained_on
from mmgen_jax.modalities.modality import Modality
from mmgen_jax.modalities.tokenizer import END, NUM_SPECIAL, PADDING, Tokenizer, split


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """BLEU-1 to 4, CIDEr-D, exact matches, distinct-1 and 2, self-BLEU.

    Args:
      data: the source, as in `config.data`.
      target: the text modality that the model draws.
      by: the modality (image, video, audio) by which the baseline finds the nearest training example, whose caption it
        gives: squared distance of the raw values, nothing learnt.
      num_examples: at most this many examples of each split.
      num_train: the baseline searches at most this many training examples.
      num_references: most references per example for CIDEr-D.
      splits: splits to evaluate.
    """

    data: Mapping[str, Any]
    target: str
    by: str = "image"
    num_examples: Amount = 1000
    num_train: Amount = 10_000
    num_references: Size = 5
    splits: tuple[str, ...] = ("test",)
    seed: Seed = 0

    @property
    def names(self) -> tuple[str, ...]:
        return (self.by, *self._labels)

    @property
    def _labels(self) -> tuple[str, ...]:
        """The labels that determine an example's true captions; () where its own caption is the only reference."""
        return getattr(lookup.find("data", self.data["name"]), "caption_labels", ()) if self.target == "text" else ()

    def suits(self, modalities: Mapping[str, Modality], conditions: Sequence[str]) -> None:
        needs.modality(self, "target", needs.TEXT, modalities)
        needs.modality(self, "by", needs.VALUES, modalities)
        needs.conditions(conditions)

    def __call__(self, sampler: Draw, batches: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """`bleu_1` to `bleu_4`, `self_bleu` in [0, 100], `cider_d` in [0, 10], `exact`, `distinct_1`, `distinct_2`.

        `exact`, `distinct_1` and `distinct_2` are in [0, 1]; `exact` is the share of captions that equal a true caption
        word for word. Every entry has `n` and `baseline`: the metric of the captions of the nearest training examples.
        `reference` is the metric of true captions. `bleu_1` to `bleu_4` have no `reference` (it would be 100); CIDEr-D
        takes only captions that are not references, and has no `reference` where an example has no such caption.
        Intervals are of 95 %: a bootstrap over examples for BLEU, the normal approximation for CIDEr-D, Wilson's for
        `exact`, subsets of the examples for `distinct_1`, `distinct_2` and `self_bleu` (`intervals.of_corpus`). A
        metric that these captions do not have (BLEU-4 of captions of 3 words, CIDEr-D where all references are alike)
        has the value None, and `why`.
        """
        samples, true = collect(sampler, batches, self.target, (self.target, self.by, *self._labels), self.num_examples)
        source = trained_on(self.data, (self.by, self.target), self.seed)
        tokenizer = source.modalities[self.target].tokenizer
        others = nearest.captions(source, self.by, self.target, true[self.by], self.num_train)
        generated, baseline = ([words_of(ids, tokenizer, "<no word>") for ids in rows] for rows in (samples, others))
        own = [words_of(ids, tokenizer, "<unknown>") for ids in true[self.target]]
        accepted = self._accepted(source, true, own, tokenizer)
        bleu_references, sets = _merged(accepted)
        cider_references, further = self._drawn(accepted, own)

        entries = {}
        statistics, baseline_statistics = (
            np.array([bleu_statistics(*pair) for pair in zip(captions, bleu_references)])
            for captions in (generated, baseline)
        )
        interval = bootstrap_bleu(statistics, seed=self.seed)
        for order in range(1, MAX_ORDER + 1):
            measure = functools.partial(_corpus_bleu, order)
            entries[f"bleu_{order}"] = {
                **_measured(measure, value=statistics, baseline=baseline_statistics),
                **({"interval": interval[order]} if order in interval else {}),
                "references": float(np.mean([len(captions) for captions in accepted])),
                "preprocessing": "lower-case words of the data's tokenizer, no smoothing",
            }
        known = {"value": generated, "baseline": baseline} | ({"reference": further} if further else {})
        cider = _measured(lambda captions: cider_d(captions, cider_references), **known)
        entries["cider_d"] = {
            **{
                kind: float(scores.mean()) if isinstance(scores, np.ndarray) else scores
                for kind, scores in cider.items()
            },
            **({"interval": intervals.of_mean(cider["value"])} if cider["value"] is not None else {}),
            "references": float(np.mean([len(captions) for captions in cider_references])),
            "preprocessing": "idf of the references of these examples, sigma 6, equal weights of 1- to 4-grams",
        }
        exact, exact_baseline, exact_reference = (
            np.array([tuple(words) in group for words, group in zip(captions, sets)])
            for captions in (generated, baseline, own)
        )
        entries["exact"] = {
            "value": float(exact.mean()),
            **intervals.of_share(exact, [same(true[self.by])]),
            "baseline": float(exact_baseline.mean()),
            "reference": float(exact_reference.mean()),
        }
        for name, (measure, largest) in VARIETY.items():
            entries[name] = _measured(measure, value=generated, baseline=baseline, reference=own)
            if (value := entries[name]["value"]) is not None:
                again = functools.partial(_of_some, name, generated)
                found = intervals.of_corpus(again, {name: value}, len(generated), within=(0, largest), seed=self.seed)
                entries[name] |= found[name]
        return {name: entry | {"n": len(generated)} for name, entry in entries.items()}

    def _accepted(
        self, source, true: Mapping[str, np.ndarray], own: Sequence[tuple], tokenizer: Tokenizer
    ) -> list[tuple[tuple, ...]]:
        """The true captions of each example; examples of the same labels share one object."""
        if not self._labels:
            if not hasattr(source, "references"):
                return [(words,) for words in own]
            every = (source.references(self.target, ids) for ids in true[self.target])
            return [tuple(words_of(ids, tokenizer, "<unknown>") for ids in captions) for captions in every]
        known: dict[tuple[int, ...], tuple[tuple, ...]] = {}
        accepted = []
        for values in zip(*(true[label].tolist() for label in self._labels)):
            if values not in known:
                captions = source.true_captions(dict(zip(self._labels, values)))
                known[values] = tuple(tuple(split(caption, "word")) for caption in captions)
            accepted.append(known[values])
        return accepted

    def _drawn(self, accepted, own) -> tuple[list[list[tuple]], list[tuple]]:
        """For CIDEr-D: each example's references, and one more true caption of each ([] where an example has none)."""
        rng = np.random.default_rng(self.seed)
        drawn, further = [], []
        for captions, words in zip(accepted, own):
            others = [caption for caption in captions if caption != words]
            order = rng.permutation(len(others))[: self.num_references]
            drawn.append([words, *(others[i] for i in order[: self.num_references - 1])])
            further += [others[order[-1]]] if len(order) == self.num_references else []
        return drawn, further if len(further) == len(own) else []


# Metrics that need no references, and their largest values.
VARIETY = {
    "distinct_1": (lambda captions: distinct(captions, 1), 1.0),
    "distinct_2": (lambda captions: distinct(captions, 2), 1.0),
    "self_bleu": (lambda captions: float(self_bleu(captions).mean()), 100.0),
}


def _of_some(name: str, captions: Sequence[tuple], indices: np.ndarray) -> dict[str, float]:
    return {name: VARIETY[name][0]([captions[i] for i in indices])}


def _corpus_bleu(order: int, statistics: np.ndarray) -> float:
    return bleu(statistics.sum(0), order)


def _measured(measure: Callable[[Any], Any], **captions) -> dict[str, Any]:
    """A measure of each of several sets of captions; None, and `why`, where the generated captions have no value."""
    entry = {}
    for kind, measured in captions.items():
        try:
            entry[kind] = measure(measured)
        except InputError as error:
            entry |= {"value": None, "why": str(error)} if kind == "value" else {}
    return entry


def _merged(accepted) -> tuple[list[References], list[frozenset]]:
    """The merged references of each example for BLEU, and the references as a set.

    Examples that share one object of captions share the result.
    """
    known = {}
    for captions in accepted:
        if id(captions) not in known:
            known[id(captions)] = merge(captions), frozenset(captions)
    merged = [known[id(captions)] for captions in accepted]
    return [references for references, _ in merged], [group for _, group in merged]


def words_of(ids: np.ndarray, tokenizer: Tokenizer, unknown: str) -> tuple[str, ...]:
    """The words of a text `[L]` of ids; for a tokenizer of words, an id outside the vocabulary reads as `unknown`."""
    if tokenizer.unit != "word":
        return tuple(split(tokenizer.decode(ids), "word"))
    ends = np.flatnonzero((ids == PADDING) | (ids == END))
    first = NUM_SPECIAL
    return tuple(
        tokenizer.vocabulary[i - first] if i >= first else unknown for i in ids[: ends[0] if len(ends) else None]
    )
