"""95 % intervals of what an evaluation measures."""

from __future__ import annotations

import numpy as np

Z = 1.959964  # of 95 %


def wilson(successes: float, n: int) -> list[float]:
    """Of a share of n independent examples (Wilson 1927): stays in [0, 1] and has width at 0 and 1."""
    share = successes / n
    middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * np.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    # Rounding must not leave 0 or 1 outside.
    return [float(min(max(middle - half, 0.0), share)), float(max(min(middle + half, 1.0), share))]


def standard_error(values: np.ndarray) -> float:
    """Of the mean of independent values `[N]`; 0 for a single one, which says nothing of its spread."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


def of_mean(values: np.ndarray) -> list[float]:
    """Of the mean of independent values `[N]`, by the normal approximation."""
    mean, error = float(np.mean(values, dtype=np.float64)), standard_error(values)
    return [mean - Z * error, mean + Z * error]
