"""95 % confidence intervals of evaluation results, as `[low, high]`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

Z = 1.959964  # of 95 %


def wilson(successes: float, n: float) -> list[float]:
    """Wilson's score interval of the share `successes / n` of independent examples (Wilson 1927).

    The interval stays in [0, 1], and its width is above 0 for shares of 0 and 1 too.
    """
    share = successes / n
    middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    # The share itself lies in the interval; rounding must not exclude a share of 0 or 1.
    return [float(min(max(middle - half, 0.0), share)), float(max(min(middle + half, 1.0), share))]


def of_share(correct: np.ndarray, groups: Sequence[np.ndarray] = ()) -> dict[str, Any]:
    """`{"interval"}` of the mean of `correct [N] bool` by `wilson`, and `effective_n` where examples are dependent.

    Examples with the same number in one of the arrays `groups`, each `[N] int`, depend on each other: a recording that
    is in several examples. N is then divided by the design effect, the ratio of the mean's variance over groups to its
    variance over independent examples (Kish 1965), and multiplied by (z / t)², with the quantile t of as many degrees
    of freedom as there are groups less one (Korn & Graubard 1998). For a share of 0 or 1, which has no variance, N
    becomes the number of groups. Of several arrays the smallest N counts, a bound from above where groups cross.
    An array with one number for all examples is left out: nothing varies between groups.
    """
    from scipy.special import stdtrit  # here: most commands measure nothing

    n, share, effective = len(correct), float(np.mean(correct)), float(len(correct))
    for numbers in groups:
        group = np.unique(numbers, return_inverse=True)[1]
        num = int(group.max()) + 1
        if num in (1, n):
            continue
        if share in (0.0, 1.0):
            effective = min(effective, float(num))
            continue
        variance = num / (num - 1) * np.sum(np.bincount(group, correct - share) ** 2) / n**2
        quantile = Z / float(stdtrit(num - 1, 0.975))
        effective = min(effective, share * (1 - share) / variance * quantile**2) if variance else effective
    effective = max(effective, 1.0)
    fields = {} if effective == n else {"effective_n": round(effective, 1)}
    return {"interval": wilson(share * effective, effective), **fields}


def standard_error(values: np.ndarray) -> float | None:
    """Standard error of the mean of independent values `[N]`; None for N = 1, where no spread can be estimated."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def of_mean(values: np.ndarray) -> list[float] | None:
    """Interval of the mean of independent values `[N]`, by the normal approximation; None for N = 1."""
    mean, error = float(np.mean(values, dtype=np.float64)), standard_error(values)
    return None if error is None else [mean - Z * error, mean + Z * error]


def of_corpus(
    measure: Callable[[np.ndarray], Mapping[str, float]],
    values: Mapping[str, float],
    num: int,
    resamples: int = 50,
    size: int = 0,
    within: tuple[float, float] = (-np.inf, np.inf),
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """Intervals of metrics that are not a mean over examples, such as self-BLEU or a Fréchet distance, by subsampling.

    Each metric is measured again on `resamples` random subsets of `size` of the `num` examples, drawn without
    replacement. The interval is the value ± `Z` standard errors, and the standard error is

        (standard deviation over the subsets) · sqrt(size / (num - size))

    (the delete-d jackknife of Shao & Wu 1989). A bootstrap draws with replacement: a third of its draws are copies of
    other draws. Copies raise self-BLEU, lower distinct-n, and raise a Fréchet distance, whose covariance of copies has
    a lower rank. Subsets without replacement have no copies.

    The interval tells how much the metric varies between sets of `num` examples. Its centre is the value of all
    examples, not the mean over the subsets, which has the bias of a smaller set. The bias of `num` examples stays in
    the value: a Fréchet distance of equal distributions is above 0. So compare intervals of equal `num` only. Close to
    such a floor the interval is too wide, in simulations by 40 %; elsewhere its width was right within 20 %.

    Args:
      measure: from indices `[size]` of examples to `{metric: value}`.
      values: the metrics of all examples.
      size: examples of a subset; 0: four fifths of `num`.
      within: the range of the metrics, to which the intervals are cut.

    Returns:
      `{metric: {"interval", "resamples", "resample_size"}}`; the interval is None for `num` below 4.
    """
    size, found = size or 4 * num // 5, {name: [] for name in values}
    rng = np.random.default_rng(seed)
    for _ in range(resamples if num >= 4 else 0):
        for name, value in measure(np.sort(rng.choice(num, size, replace=False))).items():
            found[name].append(value)
    return {name: of_subsets(value, found[name], size, num, within) for name, value in values.items()}


def of_subsets(
    value: float,
    subsets: Sequence[float] | np.ndarray,
    size: int,
    num: int,
    within: tuple[float, float] = (-np.inf, np.inf),
) -> dict[str, Any]:
    """`{"interval", "resamples", "resample_size"}` from the values of `subsets`, each of `size` of `num` examples."""
    if len(subsets) < 2:
        return {"interval": None}
    half = Z * float(np.std(subsets, ddof=1)) * np.sqrt(size / (num - size))
    interval = np.clip([value - half, value + half], *within).tolist()
    return {"interval": interval, "resamples": len(subsets), "resample_size": size}
