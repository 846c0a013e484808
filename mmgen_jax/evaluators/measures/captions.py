"""Metrics of captions as lists of words; pure functions.

`references[i]` holds every caption that is true of example i, `candidates[i]` the one that was generated for it.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

Words = Sequence[str]
MAX_ORDER = 4  # of BLEU and CIDEr
SIGMA = 6.0  # of CIDEr-D's length penalty, in words
FLOOR = 0.1  # what a precision without a match counts in the BLEU of a single sentence, in matches


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
    """What BLEU needs of any number of references.

    Args:
      counts: the largest count of each n-gram in one of them.
      lengths: theirs, in words.
    """

    counts: Mapping[tuple[str, ...], int]
    lengths: frozenset[int]

    def closest(self, length: int) -> int:
        """The length nearest to `length`, the shorter of two as near."""
        return min(self.lengths, key=lambda own: (abs(own - length), own))


def merge(captions: Iterable[Words]) -> References:
    """Of the captions of one example."""
    counts: Counter = Counter()
    lengths = set()
    for words in captions:
        counts |= all_ngrams(words)  # the larger of both counts
        lengths.add(len(words))
    return References(counts, frozenset(lengths))


def bleu_statistics(candidate: Words, references: References) -> np.ndarray:
    """`[2 + 2 MAX_ORDER]`: lengths of the candidate and its reference, then matches and n-grams of each order."""
    matches, totals = np.zeros(MAX_ORDER, np.int64), np.zeros(MAX_ORDER, np.int64)
    for ngram, count in all_ngrams(candidate).items():
        totals[len(ngram) - 1] += count
        matches[len(ngram) - 1] += min(count, references.counts.get(ngram, 0))
    return np.concatenate([[len(candidate), references.closest(len(candidate))], matches, totals])


def bleu(statistics: np.ndarray, order: int = MAX_ORDER) -> float:
    """Corpus BLEU in [0, 100] of the summed statistics, unsmoothed (Papineni et al. 2002), by sacrebleu."""
    return _score(statistics.tolist(), order, "none", effective_order=False)


def sentence_bleu(statistics: np.ndarray) -> float:
    """BLEU-4 in [0, 100] of one caption: an order without a match counts `FLOOR` matches (method 1 of Chen & Cherry
    2014); a caption of fewer than 4 words is scored on the orders that it has."""
    return _score(statistics.tolist(), MAX_ORDER, "floor", effective_order=True)


def _score(statistics: list[int], order: int, smooth: str, effective_order: bool) -> float:
    from sacrebleu.metrics.bleu import BLEU

    length, reference_length = statistics[:2]
    matches, totals = statistics[2 : 2 + order], statistics[2 + MAX_ORDER : 2 + MAX_ORDER + order]
    value = FLOOR if smooth == "floor" else None
    return BLEU.compute_bleu(
        matches, totals, length, reference_length, smooth, value, effective_order, max_ngram_order=order
    ).score


def cider_d(candidates: Sequence[Words], references: Sequence[Sequence[Words]]) -> np.ndarray:
    """CIDEr-D of each candidate `[N]`, in [0, 10] (Vedantam et al. 2015, eq. 4 to 6).

    For each order n of 1 to 4, g counts the n-grams of a caption, each weighted by log N - log df: df is the number of
    the N examples that have it in one of their references, at least 1, so the examples that are scored are the idf's
    corpus. Then, with l the length of a caption in words, a mean over the references s and over the four orders:

        10 exp(-(l(c) - l(s))² / (2 · 6²)) min(g(c), g(s)) · g(s) / (|g(c)| |g(s)|)

    As in the authors' published code, which the scores in the literature are from, g has raw counts, not frequencies,
    and words are not stemmed. That code first splits captions by the Penn Treebank's rules; here they come as words.
    """
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
    """Different n-grams over n-grams, of all candidates together (distinct-n, Li et al. 2016)."""
    counts: Counter = Counter()
    for words in candidates:
        counts.update(ngrams(words, order))
    return len(counts) / counts.total() if counts else 0.0


def self_bleu(candidates: Sequence[Words]) -> np.ndarray:
    """`sentence_bleu` `[N]` of each candidate against all the others as its references (Zhu et al. 2018).

    Their mean, from 0 to 100, says how much the candidates repeat one another.
    """
    first, second = {}, {}  # the largest count of each n-gram with its owner, and the largest among the others
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
    """The 95 % interval of BLEU-1 to BLEU-4, over resamples of the examples (Koehn 2004), by order."""
    rng = np.random.default_rng(seed)
    n = len(statistics)
    weights = rng.multinomial(n, np.full(n, 1 / n), num_resamples)
    sums = weights @ statistics  # [resamples, 10]
    return {
        order: np.percentile([bleu(row, order) for row in sums], [2.5, 97.5]).tolist()
        for order in range(1, MAX_ORDER + 1)
    }
