"""Error rates of recognised texts: edits per reference word or character, over a whole set of texts.

An edit is a substitution, a deletion or an insertion; the alignment with the fewest edits counts (Levenshtein, 1966; by
`jiwer`). The corpus rate is the sum of the edits over the number of reference units. It may exceed 1, and is not the
mean of the texts' rates.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmgen_jax.errors import InputError


def edits(references: Sequence[str], hypotheses: Sequence[str], unit: str = "word") -> tuple[np.ndarray, np.ndarray]:
    """`(edits [N], reference units [N])` of each text; words are separated by spaces.

    An empty reference has as many edits as its hypothesis has units, and no unit.

    Args:
      unit: `word` or `character`; spaces between words count as characters.
    """
    import jiwer

    measure = jiwer.process_words if unit == "word" else jiwer.process_characters
    wrong, total = np.zeros(len(references), np.int64), np.zeros(len(references), np.int64)
    for i, (reference, hypothesis) in enumerate(zip(references, hypotheses, strict=True)):
        reference, hypothesis = (" ".join(text.split()) for text in (reference, hypothesis))
        if not reference:
            wrong[i] = len(hypothesis.split()) if unit == "word" else len(hypothesis)
            continue
        counted = measure(reference, hypothesis)
        wrong[i] = counted.substitutions + counted.deletions + counted.insertions
        total[i] = counted.substitutions + counted.deletions + counted.hits
    return wrong, total


def rate(wrong: np.ndarray, total: np.ndarray) -> float:
    """The corpus rate.

    Raises:
      InputError: no reference has a unit.
    """
    if not total.sum():
        raise InputError(f"error rate: expected a reference with words, got {len(total)} empty references")
    return float(wrong.sum() / total.sum())


def bootstrap(wrong: np.ndarray, total: np.ndarray, num_resamples: int = 1000, seed: int = 0) -> list[float] | None:
    """The 95 % interval of the corpus rate, by a bootstrap over texts (Bisani & Ney, 2004); None for one text."""
    if len(wrong) < 2:
        return None
    weights = np.random.default_rng(seed).multinomial(len(wrong), np.full(len(wrong), 1 / len(wrong)), num_resamples)
    rates = (weights @ wrong) / np.maximum(weights @ total, 1)
    return np.percentile(rates, [2.5, 97.5]).tolist()
