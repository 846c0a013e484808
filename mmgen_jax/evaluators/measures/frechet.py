"""The entries of the distances between real and generated features, with their intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

from mmgen_jax.evaluators.measures import distances, intervals


def compare(real: np.ndarray, generated: np.ndarray) -> dict[str, dict[str, Any]]:
    """`{"frechet_distance", "kernel_distance"}` of features `[N, D]` and `[M, D]`; the first without an interval."""
    kernel, num = distances.kernel_distance(real, generated), min(len(real), len(generated))
    size, value = distances.kernel_subset(len(real), len(generated)), float(kernel.mean())
    return {
        "frechet_distance": {"value": distances.frechet_distance(real, generated), "better": "lower"},
        "kernel_distance": {
            "value": value,
            "better": "lower",
            "standard_deviation": float(kernel.std()),
            "subset_size": size,
            **intervals.of_subsets(value, kernel, size, num),
        },
    }


def interval(real: np.ndarray, generated: np.ndarray, value: float) -> dict[str, Any]:
    """`intervals.of_corpus` of the Fréchet distance `value` of two sets of equal size."""
    sets = real.astype(np.float64), generated.astype(np.float64)
    again = lambda indices: {"frechet": distances.frechet_of_subset(*sets, indices)}  # noqa: E731
    return intervals.of_corpus(again, {"frechet": value}, len(real), within=(0, np.inf))["frechet"]
