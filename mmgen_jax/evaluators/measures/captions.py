"""Metrics of captions; pure functions. A caption is a list of words.

`references[i]` are the true captions of example i, `candidates[i]` is the caption generated for example i.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mmgen_jax.errors import InputError

Words = Sequence[str]
MAX_ORDER = 4  # of BLEU and CIDEr
SIGMA = 6.0  # of CIDEr-D's length penalty, in words
FLOOR = 0.1  # matches that are counted for an n-gram order without a match, in `sentence_bleu`


def ngrams(words: Words, order: int) -> Counter:
    """How often each n-gram of exactly `order` words occurs."""
    return Counter(zip(*(words[i:] for i in range(order))))


def all_ngrams(words: Words) -> Counter:
    """How often each n-gram of 1 to `MAX_ORDER` words occurs."""
    counts = Counter()
    for order in range(1, MAX_ORDER + 1):
        counts.update(ngrams(words, order))
    return counts


@dataclasses.dataclass(frozen=True)
class References:
    """The references of one example, merged for BLEU.

    Args:
      counts: for each n-gram, its count in the reference that has it most often.
      lengths: the lengths of the references, in words.
    """

    counts: Mapping[tuple[str, ...], int]
    lengths: frozenset[int]

    def closest(self, length: int) -> int:
        """The reference length nearest to `length`; of two equally near lengths the shorter."""
        return min(self.lengths, key=lambda own: (abs(own - length), own))


def merge(captions: Iterable[Words]) -> References:
    """The merged references of one example's true captions."""
    counts: Counter = Counter()
    lengths = set()
    for words in captions:
        counts |= all_ngrams(words)  # the union of two Counters keeps the larger count
        lengths.add(len(words))
    return References(counts, frozenset(lengths))


def bleu_statistics(candidate: Words, references: References) -> np.ndarray:
    """`[2 + 2 MAX_ORDER] int64`, which can be summed over examples.

    The length of the candidate, the closest reference length, then for each order the number of matching n-grams, then
    for each order the number of n-grams of the candidate.
    """
    matches, totals = np.zeros(MAX_ORDER, np.int64), np.zeros(MAX_ORDER, np.int64)
    for ngram, count in all_ngrams(candidate).items():
        totals[len(ngram) - 1] += count
        matches[len(ngram) - 1] += min(count, references.counts.get(ngram, 0))
    return np.concatenate([[len(candidate), references.closest(len(candidate))], matches, totals])


def bleu(statistics: np.ndarray, order: int = MAX_ORDER) -> float:
    """Corpus BLEU in [0, 100] of summed `bleu_statistics`, without smoothing (Papineni et al. 2002), by sacrebleu.

    Raises:
      InputError: every candidate has fewer than `order` words, so that there is no n-gram of that order.
    """
    if not statistics[2 + MAX_ORDER + order - 1]:
        raise InputError(f"bleu_{order}: captions of fewer than {order} words have no BLEU-{order}")
    return _score(statistics.tolist(), order, "none", effective_order=False)


def sentence_bleu(statistics: np.ndarray) -> float:
    """BLEU-4 in [0, 100] of one caption, smoothed.

    An order without a match counts `FLOOR` matches (method 1 of Chen & Cherry 2014). A caption of fewer than 4 words is
    scored on the orders that it has n-grams of.
    """
    return _score(statistics.tolist(), MAX_ORDER, "floor", effective_order=True)


def _score(statistics: list[int], order: int, smooth: str, effective_order: bool) -> float:
    from sacrebleu.metrics.bleu import BLEU

    length, reference_length = statistics[:2]
    matches, totals = statistics[2 : 2 + order], statistics[2 + MAX_ORDER : 2 + MAX_ORDER + order]
    value = FLOOR if smooth == "floor" else None
    score = BLEU.compute_bleu(
        matches, totals, length, reference_length, smooth, value, effective_order, max_ngram_order=order
    ).score
    return min(score, 100.0)  # rounding gives an exact copy a little more


def cider_d(candidates: Sequence[Words], references: Sequence[Sequence[Words]]) -> np.ndarray:
    """CIDEr-D of each candidate `[N]`, in [0, 10] (Vedantam et al. 2015, eq. 4 to 6).

    For each order n from 1 to 4, g is the tf-idf vector of a caption: the count of each n-gram times its idf,
    log N - log df. df is the number of examples, out of the N scored ones, with the n-gram in at least one reference
    (and at least 1): the corpus of the idf is the scored examples. With l the length of a caption in words, the score
    of a candidate c is a mean over the references s and the four orders of

        10 exp(-(l(c) - l(s))² / (2 · 6²)) min(g(c), g(s)) · g(s) / (|g(c)| |g(s)|)

    Departs from the paper, as the authors' published code does: g has raw counts, not frequencies, and words are not
    stemmed. Departs from that code: its tokenisation (Penn Treebank) is left to the caller, who gives lists of words.

    Raises:
      InputError: the references of all examples are the same. Every n-gram then has weight 0, and every score is 0.
    """
    if len({frozenset(map(tuple, captions)) for captions in references}) < 2:
        raise InputError(f"cider_d: needs two examples with different references, got {len(references)} alike")
    document_frequency: Counter = Counter()
    for captions in references:
        document_frequency.update({ngram for words in captions for ngram in all_ngrams(words)})
    log_n = math.log(len(references))

    def vectors(words: Words) -> list[tuple[dict, float]]:
        weighted = []
        for order in range(1, MAX_ORDER + 1):
            vector = {
                ngram: count * (log_n - math.log(max(1, document_frequency[ngram])))
                for ngram, count in ngrams(words, order).items()
            }
            weighted.append((vector, math.sqrt(sum(value**2 for value in vector.values()))))
        return weighted

    scores = []
    for candidate, captions in zip(candidates, references, strict=True):
        own = vectors(candidate)
        score = 0.0
        for words in captions:
            penalty = math.exp(-((len(candidate) - len(words)) ** 2) / (2 * SIGMA**2))
            score += penalty * sum(_clipped_cosine(*c, *s) for c, s in zip(own, vectors(words))) / MAX_ORDER
        scores.append(10 * score / len(captions))
    return np.array(scores)


def _clipped_cosine(candidate: dict, norm: float, reference: dict, reference_norm: float) -> float:
    if not norm or not reference_norm:
        return 0.0
    shared = candidate.keys() & reference.keys()
    return sum(min(candidate[n], reference[n]) * reference[n] for n in shared) / (norm * reference_norm)


def distinct(candidates: Iterable[Words], order: int) -> float:
    """Distinct-n in [0, 1] (Li et al. 2016): number of different n-grams / number of n-grams, over all candidates."""
    counts: Counter = Counter()
    for words in candidates:
        counts.update(ngrams(words, order))
    return len(counts) / counts.total() if counts else 0.0


def self_bleu(candidates: Sequence[Words]) -> np.ndarray:
    """Self-BLEU `[N]` (Zhu et al. 2018): `sentence_bleu` of each candidate with all other candidates as references.

    The mean over the candidates, in [0, 100], measures how much they repeat one another; lower is more diverse.

    Raises:
      InputError: fewer than two candidates.
    """
    if len(candidates) < 2:
        raise InputError(f"self_bleu: expected at least 2 candidates, got {len(candidates)}")
    # Of each n-gram: the largest count in one candidate with that candidate, and the largest count in the others.
    first, second = {}, {}
    for i, words in enumerate(candidates):
        for ngram, count in all_ngrams(words).items():
            if count > first.get(ngram, (0, -1))[0]:
                second[ngram] = first.get(ngram, (0, -1))[0]
                first[ngram] = count, i
            elif count > second.get(ngram, 0):
                second[ngram] = count
    lengths = Counter(map(len, candidates))
    scores = []
    for i, words in enumerate(candidates):
        counts = {
            ngram: second.get(ngram, 0) if first[ngram][1] == i else first[ngram][0] for ngram in all_ngrams(words)
        }
        others = frozenset(length for length, n in lengths.items() if n > (length == len(words)))
        scores.append(sentence_bleu(bleu_statistics(words, References(counts, others))))
    return np.array(scores)


def bootstrap_bleu(statistics: np.ndarray, num_resamples: int = 1000, seed: int = 0) -> dict[int, list[float]]:
    """`{order: [low, high]}`: 95 % bootstrap intervals of BLEU-1 to BLEU-4 (Koehn 2004). An order is absent where no
    candidate has n-grams of it.

    Args:
      statistics: `[N, 2 + 2 MAX_ORDER]`, the `bleu_statistics` of each example; the examples are resampled.
    """
    rng = np.random.default_rng(seed)
    n = len(statistics)
    weights = rng.multinomial(n, np.full(n, 1 / n), num_resamples)
    sums = weights @ statistics  # [resamples, 10]
    return {
        order: np.percentile([_score(row.tolist(), order, "none", False) for row in sums], [2.5, 97.5]).tolist()
        for order in range(1, MAX_ORDER + 1)
        if statistics[:, 2 + MAX_ORDER + order - 1].any()
    }
