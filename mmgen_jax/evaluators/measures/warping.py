"""Dynamic time warping (Sakoe and Chiba 1978) of two sequences, from the matrix of their frames' distances."""

from __future__ import annotations

import numpy as np


def warped_mean(distances: np.ndarray) -> float:
    """Mean distance over the frames of the path with the least sum of distances.

    The path goes from (0, 0) to the last pair, by one frame of the first, of the second, or of both at each step.

    Args:
      distances: `[T, U]`, from each frame of the first sequence to each frame of the second, 0 or more.
    """
    total = accumulated(distances)
    length, (t, u) = 1, np.subtract(distances.shape, 1)
    while t or u:
        # Of equal sums, the diagonal: the shorter path.
        steps = [(t - 1, u - 1), (t - 1, u), (t, u - 1)]
        t, u = min((step for step in steps if min(step) >= 0), key=lambda step: total[step])
        length += 1
    return float(total[-1, -1] / length)


def accumulated(distances: np.ndarray) -> np.ndarray:
    """`[T, U]`: the least sum of distances of a path from (0, 0) to each pair."""
    num, other = distances.shape
    # Row d of `skewed` is the antidiagonal t + u = d, so that a row depends on the two rows before alone.
    rows = np.arange(num)
    skewed = np.full((num + other - 1, num + 1), np.inf)  # column t + 1; column 0 is beyond the border
    for d in range(num + other - 1):
        inside = rows[max(0, d - other + 1) : min(num, d + 1)]
        here = distances[inside, d - inside]
        if d:
            best = np.minimum(skewed[d - 1, inside], skewed[d - 1, inside + 1])
            here = here + (np.minimum(best, skewed[d - 2, inside]) if d > 1 else best)
        skewed[d, inside + 1] = here
    return skewed[rows[:, None] + np.arange(other), rows[:, None] + 1]
