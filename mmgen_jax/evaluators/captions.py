"""Generated captions against the true ones: BLEU, CIDEr-D, and how varied they are.

Words are the data's own (`modalities.tokenizer.split`: lower case, single punctuation marks), and nothing else is done
to them. A word that the vocabulary lacks (UNKNOWN) never matches, in a reference or in a candidate.

References of an example: where its source has `true_captions`, BLEU takes all of them, so that any of them scores 100,
and CIDEr-D takes `num_references` of them, its own and others drawn by (seed, place in the split), as in the data sets
with five captions a picture that the metric was made for; it is a mean over references, so that no caption scores 10
against several. Otherwise the example's own caption is the one reference of both.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from mmgen_jax import lookup
from mmgen_jax.evaluators.measures import intervals, nearest
from mmgen_jax.evaluators.measures.captions import (
    References,
    bleu,
    bleu_statistics,
    bootstrap_bleu,
    cider_d,
    distinct,
    merge,
    self_bleu,
)
from mmgen_jax.evaluators.measures.examples import collect
from mmgen_jax.modalities.tokenizer import END, NUM_SPECIAL, PADDING, Tokenizer, split


@dataclasses.dataclass(frozen=True)
class Evaluator:
    """BLEU-1 to 4, CIDEr-D, exact matches, distinct-1 and 2, self-BLEU.

    Args:
      data: the source, as in `config.data`.
      target: the text modality that the model draws.
      by: the modality (image, video, audio) whose nearest training example gives the baseline's caption: the squared
        distance of its values, nothing learnt.
      num_examples: at most this many of each split.
      num_train: training examples that the baseline has, the first.
      num_references: of CIDEr-D, where there are more.
      splits: those to run on.
    """

    data: Mapping[str, Any]
    target: str
    by: str = "image"
    num_examples: int = 1000
    num_train: int = 10_000
    num_references: int = 5
    splits: tuple[str, ...] = ("test",)
    seed: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        return (self.by, *self._labels)

    @property
    def _labels(self) -> tuple[str, ...]:
        """That tell the true captions of an example; () where its own is the only one."""
        return getattr(lookup.find("data", self.data["name"]), "caption_labels", ()) if self.target == "text" else ()

    def __call__(
        self, sample_fn: Callable[[Mapping[str, Any]], Mapping[str, Any]], batches: Iterable[Mapping[str, Any]]
    ) -> dict[str, dict[str, Any]]:
        """`bleu_1` to `bleu_4`, `self_bleu` in [0, 100], `cider_d` in [0, 10], `exact`, `distinct_1`, `distinct_2`.

        Each with `n`, `baseline` (the nearest training example's captions, measured alike) and, where it is not known
        beforehand, `reference`: what true captions of the same examples reach (for CIDEr-D, a further one of each).
        `exact` is the share that is word for word a true caption. Intervals are of 95 %: a bootstrap over examples for
        BLEU, the normal approximation for CIDEr-D, Wilson's for `exact`.
        """
        samples, true = collect(
            sample_fn, batches, self.target, (self.target, self.by, *self._labels), self.num_examples
        )
        source = nearest.training_source(self.data, (self.by, self.target), self.seed)
        tokenizer = source.modalities[self.target].tokenizer
        others = nearest.captions(source, self.by, self.target, true[self.by], self.num_train)
        generated, baseline = ([words_of(ids, tokenizer, "<no word>") for ids in rows] for rows in (samples, others))
        own = [words_of(ids, tokenizer, "<unknown>") for ids in true[self.target]]
        accepted = self._accepted(source, true, own)
        bleu_references, sets = _merged(accepted)
        cider_references, further = self._drawn(accepted, own)

        entries = {}
        statistics, baseline_statistics = (
            np.array([bleu_statistics(*pair) for pair in zip(captions, bleu_references)])
            for captions in (generated, baseline)
        )
        interval = bootstrap_bleu(statistics, seed=self.seed)
        for order in interval:
            entries[f"bleu_{order}"] = {
                "value": bleu(statistics.sum(0), order),
                "interval": interval[order],
                "baseline": bleu(baseline_statistics.sum(0), order),
                "references": float(np.mean([len(captions) for captions in accepted])),
                "preprocessing": "lower-case words of the data's tokenizer, no smoothing",
            }
        cider, cider_baseline = (cider_d(c, cider_references) for c in (generated, baseline))
        entries["cider_d"] = {
            "value": float(cider.mean()),
            "interval": intervals.of_mean(cider),
            "baseline": float(cider_baseline.mean()),
            "references": float(np.mean([len(captions) for captions in cider_references])),
            "preprocessing": "idf of the references of these examples, sigma 6, equal weights of 1- to 4-grams",
        }
        if further:
            entries["cider_d"]["reference"] = float(cider_d(further, cider_references).mean())
        exact, exact_baseline, exact_reference = (
            np.array([tuple(words) in group for words, group in zip(captions, sets)])
            for captions in (generated, baseline, own)
        )
        entries["exact"] = {
            "value": float(exact.mean()),
            "interval": intervals.wilson(int(exact.sum()), len(exact)),
            "baseline": float(exact_baseline.mean()),
            "reference": float(exact_reference.mean()),
        }
        for name, measure in VARIETY.items():
            values = {"value": generated, "baseline": baseline, "reference": own}
            entries[name] = {kind: measure(captions) for kind, captions in values.items()}
        return {name: entry | {"n": len(generated)} for name, entry in entries.items()}

    def _accepted(self, source, true: Mapping[str, np.ndarray], own: Sequence[tuple]) -> list[tuple[tuple, ...]]:
        """The true captions of each example; examples of the same labels share one object."""
        if not self._labels:
            return [(words,) for words in own]
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


# Of the captions alone.
VARIETY = {
    "distinct_1": lambda captions: distinct(captions, 1),
    "distinct_2": lambda captions: distinct(captions, 2),
    "self_bleu": lambda captions: float(self_bleu(captions).mean()),
}


def _merged(accepted) -> tuple[list[References], list[frozenset]]:
    """What BLEU needs of each example's references, and the references as a set; computed once for each object."""
    known = {}
    for captions in accepted:
        if id(captions) not in known:
            known[id(captions)] = merge(captions), frozenset(captions)
    merged = [known[id(captions)] for captions in accepted]
    return [references for references, _ in merged], [group for _, group in merged]


def words_of(ids: np.ndarray, tokenizer: Tokenizer, unknown: str) -> tuple[str, ...]:
    """The words of a text `[L]`; in word units, what the vocabulary lacks reads as `unknown`."""
    if tokenizer.unit != "word":
        return tuple(split(tokenizer.decode(ids), "word"))
    ends = np.flatnonzero((ids == PADDING) | (ids == END))
    first = NUM_SPECIAL
    return tuple(
        tokenizer.vocabulary[i - first] if i >= first else unknown for i in ids[: ends[0] if len(ends) else None]
    )
