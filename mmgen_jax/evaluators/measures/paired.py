"""An entry of a metric whose baselines are measured on the same examples, so that their differences have intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mmgen_jax.evaluators.measures import intervals


def entry(values: np.ndarray, baselines: Mapping[str, np.ndarray | str]) -> dict[str, Any]:
    """`{"value", "n", "interval", "baselines": {name: {"value", "interval", "difference"}}}`; intervals are of 95 %.

    `difference` is the interval of the mean of `values` minus the baseline's.

    Args:
      values: `[N]`, one for each example.
      baselines: `[N]` of the same examples; or, for a baseline that could not be computed, the reason: its `value` is
        then None, and the reason is its `why`.
    """
    return {
        "value": float(values.mean()),
        "n": len(values),
        "interval": intervals.of_mean(values),
        "baselines": {name: _beside(values, other) for name, other in baselines.items()},
    }


def _beside(values: np.ndarray, other: np.ndarray | str) -> dict[str, Any]:
    if isinstance(other, str):
        return {"value": None, "why": other}
    return {
        "value": float(other.mean()),
        "interval": intervals.of_mean(other),
        "difference": intervals.of_mean(values - other),
    }
