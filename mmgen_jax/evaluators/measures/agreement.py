"""How often judged contents agree, and how often independent contents would."""

from __future__ import annotations

import numpy as np


def independent(found: np.ndarray) -> float:
    """The probability that independent draws, one from each column of `found [N, M] int`, all agree; ids from 0."""
    shares = [np.bincount(column, minlength=found.max() + 1) / len(column) for column in found.T]
    return float(np.prod(shares, axis=0).sum())
